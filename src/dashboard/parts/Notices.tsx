/** What has just come of something that was asked for: said, and read out, for a while. */
import { signal } from "@preact/signals"

interface Notice {
  readonly id: number
  readonly kind: "done" | "problem"
  readonly text: string
}

const notices = signal<ReadonlyArray<Notice>>([])

let last = 0

const remove = (id: number) => {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}

export const say = (kind: Notice["kind"], text: string): void => {
  const id = ++last
  notices.value = [...notices.value.slice(-3), { id, kind, text }]
  // a problem stays until it has been read
  if (kind === "done") window.setTimeout(() => remove(id), 8_000)
}

export const Notices = () => (
  <div class="notices" role="status">
    {notices.value.map(({ id, kind, text }) => (
      <div key={id} class={`notice is-${kind}`}>
        <p>{text}</p>
        <button type="button" class="quiet" aria-label="Close" onClick={() => remove(id)}>
          ✕
        </button>
      </div>
    ))}
  </div>
)
