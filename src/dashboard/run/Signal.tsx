/** Sends a signal: by a form where its schema is known, or as JSON. */
import { useState } from "preact/hooks"
import type { DeclaredSignalView, RunWithStepsView } from "../../api/RunView.js"
import { useAsked } from "../Hooks.js"
import { Dialog } from "../parts/Dialog.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import type { Read } from "../schema/Form.js"
import { ValueEditor } from "../schema/ValueEditor.js"
import { ask, signal, type Problem as Told, workflows } from "../server/Server.js"

/** Those that it waits for, then those that its workflow declares besides. */
const namesOf = (run: RunWithStepsView, declared: ReadonlyArray<DeclaredSignalView>) => {
  const awaited = (run.waitsFor?.first ?? []).flatMap((wait) =>
    wait.type === "signal" ? [wait.name] : []
  )
  return Array.from(new Set([...awaited, ...declared.map(({ name }) => name)]))
}

export const SignalDialog = ({
  onClose,
  run
}: {
  readonly run: RunWithStepsView
  readonly onClose: () => void
}) => {
  const registered = useAsked("workflows", () => workflows)
  const declared = registered.value?.find(({ name }) => name === run.workflow)?.signals ?? []
  const names = namesOf(run, declared)
  const [chosen, setName] = useState<string | undefined>(undefined)
  const name = chosen ?? names[0] ?? ""
  const [read, setRead] = useState<Read>({ problem: undefined, value: null })
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const schema = declared.find((one) => one.name === name)?.value

  const send = async (event: Event) => {
    event.preventDefault()
    if (read.problem !== undefined) return setProblem({ tag: "Not sent", message: read.problem })
    const answer = await ask(signal(run.runId, name, read.value))
    if (!answer.ok) return setProblem(answer.problem)
    say("done", `The signal ${name} was sent`)
    onClose()
  }
  return (
    <Dialog title="Send a signal" onClose={onClose}>
      <form onSubmit={(event) => void send(event)}>
        <div class="field">
          <label for="signal-name">Signal</label>
          <input
            id="signal-name"
            list="signal-names"
            value={name}
            required
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <datalist id="signal-names">
            {names.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </div>
        {registered.value === undefined && registered.problem === undefined ? null : (
          <ValueEditor
            key={schema === undefined ? "any" : name}
            label="value"
            schema={schema}
            {...(schema === undefined ? { value: null } : {})}
            onChange={setRead}
          />
        )}
        <p class="muted">The first value stays: one that is sent later changes nothing.</p>
        {problem === undefined ? null : <Problem problem={problem} />}
        <p class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={name === ""}>
            Send
          </button>
        </p>
      </form>
    </Dialog>
  )
}
