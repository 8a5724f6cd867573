/** Sets other limits in place of those in the code, or those in the code again. */
import { useState } from "preact/hooks"
import type { QueueLimitsView, QueueView } from "../../api/Queues.js"
import { Dialog } from "../parts/Dialog.js"
import { TextField } from "../parts/Field.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { changeQueue } from "../server/Queues.js"
import { ask, type Problem as Told } from "../server/Server.js"
import { problems, read, told, type Written, write } from "./Limits.js"

/** In the order in which they are asked for. */
const fields = [
  {
    name: "concurrency",
    label: "Runs at once",
    about: "Of all executors together. Empty: no bound."
  },
  { name: "concurrencyPerKey", label: "Runs per key at once", about: "Empty: no bound." },
  {
    name: "rate",
    label: "Runs per key that begin within a while",
    about: "Where the queue has no keys, of all. Empty: no bound."
  },
  { name: "window", label: "How long that while is", about: 'Such as "1 minute".' }
] as const

export const LimitsDialog = ({
  onClose,
  queue
}: {
  readonly queue: QueueView
  readonly onClose: () => void
}) => {
  const [written, setWritten] = useState(() => write(queue.override ?? queue.declared))
  const [isTried, setTried] = useState(false)
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const wrong = isTried ? problems(written) : {}
  const change = (part: Partial<Written>) => setWritten({ ...written, ...part })

  const send = async (limits: QueueLimitsView | null) => {
    const answer = await ask(changeQueue({ name: queue.name, limits }))
    if (!answer.ok) return setProblem(answer.problem)
    say("done", `The limits of ${queue.name}: ${told(limits ?? queue.declared)}`)
    onClose()
  }
  const submit = (event: Event) => {
    event.preventDefault()
    setTried(true)
    if (Object.keys(problems(written)).length === 0) void send(read(written))
  }
  return (
    <Dialog title={`Limits of ${queue.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          What is set here counts in place of all limits in the code, for every executor, until it
          is taken back. The code says: {told(queue.declared)}.
        </p>
        {fields.map(({ about, label, name }) => (
          <TextField
            key={name}
            label={label}
            about={about}
            problem={wrong[name]}
            value={written[name]}
            onInput={(text) => change({ [name]: text })}
          />
        ))}
        <p>
          <label class="check">
            <input
              type="checkbox"
              checked={written.keepSlot}
              onChange={(event) => change({ keepSlot: event.currentTarget.checked })}
            />
            A run that waits for a signal, a timer or a child counts as under way
          </label>
        </p>
        {problem === undefined ? null : <Problem problem={problem} />}
        <p class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          {queue.override === undefined ? null : (
            <button type="button" onClick={() => void send(null)}>
              Back to the code's
            </button>
          )}
          <button type="submit" class="primary">
            Set these limits
          </button>
        </p>
      </form>
    </Dialog>
  )
}
