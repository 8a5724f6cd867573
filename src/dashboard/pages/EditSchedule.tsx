/** Makes a schedule, or one that is there another. */
import { useState } from "preact/hooks"
import type { WorkflowView } from "../../api/RunView.js"
import type { ScheduleView } from "../../api/Schedules.js"
import { useAsked, useTitle } from "../Hooks.js"
import { TextField } from "../parts/Field.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { go, place, to } from "../Router.js"
import { Options, Times } from "../schedules/Fields.js"
import { empty, isWhole, ofSchedule, requestOf, type Written } from "../schedules/Written.js"
import type { Read } from "../schema/Form.js"
import { ValueEditor } from "../schema/ValueEditor.js"
import { putSchedule, schedule } from "../server/Schedules.js"
import { ask, type Problem as Told, workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const EditSchedule = () => {
  const name = place.value.query.get("name") ?? undefined
  useTitle(name === undefined ? "Make a schedule" : `Change ${name}`)
  return (
    <>
      <h1 class="text">{name === undefined ? "Make a schedule" : `Change ${name}`}</h1>
      {!rights.value.write ? (
        <p>This token may not change schedules: it can only read.</p>
      ) : name === undefined ? (
        <Edit schedule={undefined} />
      ) : (
        <Known name={name} />
      )}
    </>
  )
}

const Known = ({ name }: { readonly name: string }) => {
  const { again, problem, value } = useAsked(`edit ${name}`, () => schedule(name))
  // what it was when it was first read: what is typed is not to be lost
  const [first, setFirst] = useState<ScheduleView | undefined>(undefined)
  if (value !== undefined && first === undefined) setFirst(value)
  if (first !== undefined) return <Edit schedule={first} />
  return problem === undefined ? (
    <p class="muted">Reading the schedule</p>
  ) : (
    <Problem problem={problem} again={again} />
  )
}

const Edit = ({ schedule }: { readonly schedule: ScheduleView | undefined }) => {
  const registered = useAsked("workflows", () => workflows)
  return (
    <>
      {schedule?.origin === "declared" ? (
        <p>
          It is declared in the code. What is said here counts in place of that, until the schedule
          is deleted and an executor starts with the code's again.
        </p>
      ) : null}
      {registered.problem === undefined ? null : (
        <Problem problem={registered.problem} again={registered.again} />
      )}
      {registered.value === undefined ? null : (
        <ScheduleForm schedule={schedule} workflows={registered.value} />
      )}
    </>
  )
}

const hereZone = Intl.DateTimeFormat().resolvedOptions().timeZone

const ScheduleForm = ({
  schedule,
  workflows
}: {
  readonly schedule: ScheduleView | undefined
  readonly workflows: ReadonlyArray<WorkflowView>
}) => {
  const [written, setWritten] = useState<Written>(() =>
    schedule === undefined ? empty("", hereZone) : ofSchedule(schedule)
  )
  const [read, setRead] = useState<Read>({ problem: undefined, value: schedule?.payload ?? {} })
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const workflow = workflows.find(({ name }) => name === written.workflow)
  const change = (part: Partial<Written>) => setWritten({ ...written, ...part })

  const send = async (name: string, payload: unknown) => {
    setBusy(true)
    const answer = await ask(putSchedule(name, requestOf(written, payload)))
    setBusy(false)
    setProblem(answer.ok ? undefined : answer.problem)
    if (!answer.ok) return
    say("done", schedule === undefined ? `${name} is made` : `${name} is changed`)
    go(to(["schedules", name]))
  }
  const submit = (event: Event) => {
    event.preventDefault()
    const wrong = unsendable(written, read)
    if (wrong !== undefined) return setProblem({ tag: "Not sent", message: wrong })
    if (read.problem === undefined) void send(written.name.trim(), read.value)
  }
  return (
    <form class="card form" onSubmit={submit}>
      {schedule !== undefined ? null : (
        <TextField
          label="Name"
          about={'Letters, digits, "-", "_" and ".".'}
          value={written.name}
          onInput={(name) => change({ name })}
        />
      )}
      <Workflow written={written} workflows={workflows} onChange={change} />
      <Times written={written} onChange={change} />
      <fieldset>
        <legend>Payload of its runs</legend>
        {schedule?.hidden === true ? (
          <p>What it is now is hidden from this token: write all of it.</p>
        ) : null}
        {workflow === undefined ? (
          <p class="muted">Choose a workflow first.</p>
        ) : (
          <ValueEditor
            key={workflow.name}
            label="payload"
            schema={workflow.payload}
            {...(schedule?.workflow === workflow.name && schedule.hidden !== true
              ? { value: schedule.payload }
              : {})}
            onChange={setRead}
          />
        )}
      </fieldset>
      <Options written={written} onChange={change} />
      {problem === undefined ? null : <Problem problem={problem} />}
      <p class="buttons">
        <button type="submit" class="primary" disabled={isBusy}>
          {schedule === undefined ? "Make it" : "Change it"}
        </button>
        <a
          class="button"
          href={to(schedule === undefined ? ["schedules"] : ["schedules", schedule.name])}
        >
          Cancel
        </a>
      </p>
    </form>
  )
}

/** What can be said without asking. */
const unsendable = (written: Written, { problem }: Read) => {
  if (written.name.trim() === "") return "It needs a name"
  if (written.workflow === "") return "Say what it starts: choose a workflow"
  if (written.by === "cron" && written.cron.trim() === "") return "Say when: write a cron"
  if (written.by === "every" && written.every.trim() === "") return "Say when: write an interval"
  if (written.count.trim() !== "" && !isWhole(written.count)) {
    return `${written.count} is not a whole number of 1 or more`
  }
  return problem
}

const Workflow = ({
  onChange,
  workflows,
  written
}: {
  readonly written: Written
  readonly workflows: ReadonlyArray<WorkflowView>
  readonly onChange: (part: Partial<Written>) => void
}) => {
  const names = workflows.map(({ name }) => name)
  const isGone = written.workflow !== "" && !names.includes(written.workflow)
  return (
    <div class="field">
      <label for="schedule-workflow">Workflow</label>
      <select
        id="schedule-workflow"
        value={written.workflow}
        onChange={(event) => onChange({ workflow: event.currentTarget.value })}
      >
        <option value="">Choose one</option>
        {(isGone ? [...names, written.workflow] : names).map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      {isGone ? (
        <p class="wrong">This executor has no workflow of that name, and takes no change.</p>
      ) : null}
    </div>
  )
}
