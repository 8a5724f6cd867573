/** Starts a run: by a form that is made of the workflow's schema, empty or like another run's. */
import { useMemo, useState } from "preact/hooks"
import { useAsked, useTitle } from "../Hooks.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { go, place, to } from "../Router.js"
import type { Read } from "../schema/Form.js"
import { ValueEditor } from "../schema/ValueEditor.js"
import { ask, payload, start, type Problem as Told, workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Start = () => {
  const name = place.value.query.get("workflow") ?? undefined
  const like = place.value.query.get("like") ?? undefined
  useTitle(name === undefined ? "Start a run" : `Start ${name}`)
  const registered = useAsked("workflows", () => workflows)
  const workflow = registered.value?.find((one) => one.name === name)
  return (
    <>
      <h1>Start a run</h1>
      {rights.value.write ? null : <p>This token may not start runs: it can only read.</p>}
      {registered.problem === undefined ? null : (
        <Problem problem={registered.problem} again={registered.again} />
      )}
      <div class="field">
        <label for="workflow">Workflow</label>
        <select
          id="workflow"
          value={name ?? ""}
          onChange={(event) => go(to(["start"], { workflow: event.currentTarget.value }))}
        >
          <option value="">Choose one</option>
          {registered.value?.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </select>
      </div>
      {name !== undefined && registered.value !== undefined && workflow === undefined ? (
        <p class="wrong">
          This executor has no workflow <code>{name}</code>.
        </p>
      ) : null}
      {workflow === undefined || !rights.value.write ? null : like === undefined ? (
        <StartForm key={workflow.name} workflow={workflow.name} schema={workflow.payload} />
      ) : (
        <Like runId={like} workflow={workflow.name} schema={workflow.payload} />
      )}
    </>
  )
}

interface FormProps {
  readonly workflow: string
  readonly schema: unknown
}

const Like = ({ runId, ...props }: FormProps & { readonly runId: string }) => {
  const { again, problem, value } = useAsked(`payload ${runId}`, () => payload(runId))
  if (problem !== undefined) return <Problem problem={problem} again={again} />
  return value === undefined ? (
    <p class="muted">Reading the payload</p>
  ) : (
    <StartForm {...props} value={value} />
  )
}

const StartForm = ({ schema, value, workflow }: FormProps & { readonly value?: unknown }) => {
  const begin = useMemo(() => ({ value }), [value])
  const [read, setRead] = useState<Read>({ problem: undefined, value: begin.value ?? {} })
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)

  const send = async (payload: unknown) => {
    setBusy(true)
    const answer = await ask(start(workflow, payload))
    setBusy(false)
    setProblem(answer.ok ? undefined : answer.problem)
    if (!answer.ok) return
    const { created, runId } = answer.value
    say("done", created ? "Started" : `There was such a run already: it is ${answer.value.status}`)
    go(to(["runs", runId]))
  }
  const submit = (event: Event) => {
    event.preventDefault()
    if (read.problem !== undefined) {
      setProblem({ tag: "Not sent", message: read.problem })
      return
    }
    void send(read.value)
  }
  return (
    <form class="card" onSubmit={submit}>
      <h2>Payload</h2>
      <ValueEditor label="payload" schema={schema} value={begin.value} onChange={setRead} />
      {problem === undefined ? null : <Problem problem={problem} />}
      <p class="buttons">
        <button type="submit" class="primary" disabled={isBusy}>
          Start
        </button>
      </p>
      <p class="muted">
        The same idempotency key gives the same run: change what the key is made of to start another
        one.
      </p>
    </form>
  )
}
