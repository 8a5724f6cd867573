/** Starts a run: by a form that is made of the workflow's schema, empty or like another run's. */
import { useMemo, useState } from "preact/hooks"
import type { StartedView } from "../../api/RunView.js"
import { useAsked, useTitle } from "../Hooks.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { go, place, to } from "../Router.js"
import type { Read } from "../schema/Form.js"
import { ValueEditor } from "../schema/ValueEditor.js"
import { ask, get, payload, start, type Problem as Told, workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { OptionFields } from "../start/OptionFields.js"
import * as Options from "../start/Options.js"
import { useOptions } from "../start/UseOptions.js"

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

/** With its payload, and with what it was to be beside that. */
const Like = ({ runId, ...props }: FormProps & { readonly runId: string }) => {
  const given = useAsked(`payload ${runId}`, () => payload(runId))
  const run = useAsked(`like ${runId}`, () => get(runId))
  const asked = given.problem === undefined ? run : given
  if (asked.problem !== undefined) return <Problem problem={asked.problem} again={asked.again} />
  return given.value === undefined || run.value === undefined ? (
    <p class="muted">Reading the run</p>
  ) : (
    <StartForm {...props} value={given.value} options={Options.ofRun(run.value)} />
  )
}

const told = (started: StartedView) => {
  if (started.created) return "Started"
  if (started.replaced === true) return "There was such a run already: it has what was said now"
  return started.skipped === true
    ? `None was started: another one of its key is ${started.status}`
    : `There was such a run already: it is ${started.status}`
}

const StartForm = ({
  options = Options.none,
  schema,
  value,
  workflow
}: FormProps & { readonly value?: unknown; readonly options?: Options.Written }) => {
  const begin = useMemo(() => ({ value }), [value])
  const [read, setRead] = useState<Read>({ problem: undefined, value: begin.value ?? {} })
  const form = useOptions(options)
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)

  const send = async (payload: unknown) => {
    setBusy(true)
    const answer = await ask(start(workflow, payload, Options.read(form.written)))
    setBusy(false)
    if (!answer.ok) return setProblem(form.refused(answer.problem) ? undefined : answer.problem)
    say("done", told(answer.value))
    go(to(["runs", answer.value.runId]))
  }
  const submit = (event: Event) => {
    event.preventDefault()
    const isSendable = form.tried()
    if (read.problem !== undefined) {
      return setProblem({ tag: "Not sent", message: read.problem })
    }
    setProblem(undefined)
    if (isSendable) void send(read.value)
  }
  return (
    <form class="card" ref={form.element} onSubmit={submit}>
      <h2>Payload</h2>
      <ValueEditor label="payload" schema={schema} value={begin.value} onChange={setRead} />
      <OptionFields {...form} />
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
