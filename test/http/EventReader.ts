/** A client that reads server-sent events, one request at a time. */
import * as Effect from "effect/Effect"

export interface Message {
  readonly id: string | undefined
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

const parse = (block: string): Message | undefined => {
  const fields = new Map(
    block.split("\n").flatMap((line) => {
      const [, name = "", value = ""] = /^(\w+): (.*)$/.exec(line) ?? []
      return name === "" ? [] : [[name, value] as const]
    })
  )
  const data = fields.get("data")
  return data === undefined
    ? undefined
    : { id: fields.get("id"), event: fields.get("event") ?? "message", data: JSON.parse(data) }
}

/** What an event says, in short: `run completed`, `step a running`. */
export const brief = ({ data, event }: Message): string => {
  switch (event) {
    case "step":
      return `step ${data.name} ${data.status}`
    case "executor":
      return `executor ${data.state}`
    case "run":
      return `run ${data.status}`
    case "snapshot":
      return `snapshot ${(data.run as { readonly status: string }).status}`
    default:
      return event
  }
}

export class EventReader {
  readonly messages: Array<Message> = []
  text = ""
  /** How the answer ended: `undefined` while it has not. */
  ended: "end" | Error | undefined
  private readonly waiting = new Set<() => void>()
  private rest = ""

  constructor(
    readonly response: Response,
    private readonly controller: AbortController
  ) {
    void this.read()
  }

  private async read() {
    try {
      const decoder = new TextDecoder()
      for await (const chunk of this.response.body ?? []) {
        const text = decoder.decode(chunk, { stream: true })
        this.text += text
        const blocks = (this.rest + text).split("\n\n")
        this.rest = blocks.pop() ?? ""
        for (const block of blocks) {
          const message = parse(block)
          if (message !== undefined) this.messages.push(message)
        }
        this.look()
      }
      this.ended = "end"
    } catch (error) {
      this.ended = error instanceof Error ? error : new Error(String(error))
    }
    this.look()
  }

  private look() {
    for (const look of [...this.waiting]) look()
  }

  /** Waits until that is so; dies when the answer has ended before. */
  until(matches: () => boolean): Effect.Effect<void> {
    return Effect.async((resume) => {
      const look = () => {
        const isSo = matches()
        if (!isSo && this.ended === undefined) return
        this.waiting.delete(look)
        resume(
          isSo
            ? Effect.void
            : Effect.dieMessage(`over (${this.ended}) with ${this.briefs.slice(-20)}`)
        )
      }
      this.waiting.add(look)
      look()
    })
  }

  /** Waits until an event says that. */
  has(what: string): Effect.Effect<void> {
    return this.until(() => this.briefs.includes(what))
  }

  /** Waits until the answer has ended. */
  get end(): Effect.Effect<"end" | Error | undefined> {
    return Effect.map(
      this.until(() => this.ended !== undefined),
      () => this.ended
    )
  }

  get briefs(): ReadonlyArray<string> {
    return this.messages.map(brief)
  }

  get ids(): ReadonlyArray<string> {
    return this.messages.flatMap(({ id }) => (id === undefined ? [] : [id]))
  }

  get lastId(): string {
    return this.ids.at(-1) ?? ""
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.controller.abort())
  }
}

/** Asks for events; aborted when the scope closes. */
export const read = (
  url: string,
  options: { readonly token: string; readonly lastEventId?: string }
) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const controller = new AbortController()
      const response = await fetch(url, {
        signal: controller.signal,
        headers: {
          authorization: `Bearer ${options.token}`,
          ...(options.lastEventId === undefined ? {} : { "last-event-id": options.lastEventId })
        }
      })
      return new EventReader(response, controller)
    }),
    (reader) => reader.close
  )
