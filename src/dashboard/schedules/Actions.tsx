/** What can be done with a schedule. */
import { useState } from "preact/hooks"
import type { ScheduleView } from "../../api/Schedules.js"
import { Confirm, Dialog } from "../parts/Dialog.js"
import { Field } from "../parts/Field.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { counted } from "../parts/Words.js"
import { go, to } from "../Router.js"
import { isoOf, localOf } from "../runs/Filters.js"
import {
  backfillSchedule,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
  triggerSchedule
} from "../server/Schedules.js"
import { ask, type Question, type Problem as Told } from "../server/Server.js"
import { rights } from "../server/Session.js"

type Asking = "trigger" | "pause" | "backfill" | "delete"

interface Props {
  readonly schedule: ScheduleView
  readonly again: () => void
}

export const Actions = ({ again, schedule }: Props) => {
  const [asking, setAsking] = useState<Asking | undefined>(undefined)
  const { name, paused } = schedule
  if (!rights.value.write) {
    return <p class="muted">This token can only read: it changes nothing.</p>
  }
  const close = () => {
    setAsking(undefined)
    again()
  }
  const act = async <A,>(question: Question<A>, done: (answer: A) => string) => {
    const answer = await ask(question)
    if (answer.ok) say("done", done(answer.value))
    else say("problem", answer.problem.message)
    close()
    return answer.ok
  }
  const remove = async () => {
    const isGone = await act(removeSchedule(name), () => `${name} is deleted`)
    if (isGone) go(to(["schedules"]), { replace: true })
  }
  return (
    <div class="buttons">
      <button type="button" onClick={() => setAsking("trigger")}>
        Trigger now
      </button>
      {paused ? (
        <button
          type="button"
          onClick={() => void act(resumeSchedule(name), () => `${name} goes on`)}
        >
          Resume
        </button>
      ) : (
        <button type="button" onClick={() => setAsking("pause")}>
          Pause
        </button>
      )}
      <button type="button" onClick={() => setAsking("backfill")}>
        Backfill
      </button>
      <a class="button" href={to(["edit-schedule"], { name })}>
        Change
      </a>
      <button type="button" class="danger" onClick={() => setAsking("delete")}>
        Delete
      </button>
      {asking === "trigger" ? (
        <Confirm
          title={`Start a run of ${name} now?`}
          action="Start it"
          onClose={close}
          onConfirm={() =>
            void act(triggerSchedule(name), ({ runId }) => `Started the run ${runId}`)
          }
        >
          <p>
            It starts beside the ticks, whatever is under way, and also while the schedule is
            paused.
          </p>
        </Confirm>
      ) : null}
      {asking === "pause" ? (
        <Confirm
          title={`Pause ${name}?`}
          action="Pause it"
          onClose={close}
          onConfirm={() => void act(pauseSchedule(name), () => `${name} is paused`)}
        >
          <p>
            Nothing of it starts until it is resumed. Ticks that are due meanwhile are left out; a
            backfill starts them later. Runs under way go on.
          </p>
        </Confirm>
      ) : null}
      {asking === "backfill" ? <BackfillDialog schedule={schedule} onClose={close} /> : null}
      {asking === "delete" ? (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete"
          onClose={close}
          onConfirm={() => void remove()}
        >
          <p>
            Its runs stay.
            {schedule.origin === "declared"
              ? " It is declared in the code: the next executor that starts with it makes it again."
              : ""}
          </p>
        </Confirm>
      ) : null}
    </div>
  )
}

const day = 86_400_000

const BackfillDialog = ({
  onClose,
  schedule: { name }
}: {
  readonly schedule: ScheduleView
  readonly onClose: () => void
}) => {
  const [from, setFrom] = useState(() => new Date(Date.now() - day).toISOString())
  const [until, setUntil] = useState<string | undefined>(undefined)
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const send = async () => {
    setBusy(true)
    const answer = await ask(
      backfillSchedule(name, { from, ...(until === undefined ? {} : { to: until }) })
    )
    setBusy(false)
    if (!answer.ok) return setProblem(answer.problem)
    const { created, ticks } = answer.value
    say("done", `${counted(created, "run")} started, of ${counted(ticks, "tick")} in that range`)
    onClose()
  }
  return (
    <Dialog title={`Backfill ${name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void send()
        }}
      >
        <p>
          Starts the runs of the ticks in a range of the past, all of them at once, at most 1,000. A
          tick that has a run keeps it.
        </p>
        <Field label="From" about="In your time zone.">
          {(tied) => (
            <input
              {...tied}
              type="datetime-local"
              step={1}
              required
              value={localOf(from)}
              onChange={(event) => setFrom(isoOf(event.currentTarget.value) ?? "")}
            />
          )}
        </Field>
        <Field label="Earlier than" about="Empty: until now.">
          {(tied) => (
            <input
              {...tied}
              type="datetime-local"
              step={1}
              value={localOf(until)}
              onChange={(event) => setUntil(isoOf(event.currentTarget.value))}
            />
          )}
        </Field>
        {problem === undefined ? null : <Problem problem={problem} />}
        <p class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={isBusy}>
            Start them
          </button>
        </p>
      </form>
    </Dialog>
  )
}
