/** The buttons of a run: those that are of no use say why. */
import { useId, useState } from "preact/hooks"
import type { RunWithStepsView } from "../../api/RunView.js"
import { isFinal } from "../../api/Status.js"
import { Confirm } from "../parts/Dialog.js"
import { say } from "../parts/Notices.js"
import { shortId } from "../parts/Words.js"
import { go, to } from "../Router.js"
import {
  ask,
  interrupt,
  type Question,
  remove,
  resume,
  retryRun,
  terminate
} from "../server/Server.js"
import { rights } from "../server/Session.js"
import { type Action, actions, consequences, isConfirmed, labels, notPossible } from "./Actions.js"
import { SignalDialog } from "./Signal.js"

/** What the executor is asked. */
export const questionOf = (
  action: Action,
  runId: string,
  options: { readonly reason?: string; readonly children?: boolean } = {}
): Question<unknown> => {
  switch (action) {
    case "resume":
      return resume(runId)
    case "retry":
      return retryRun(runId)
    case "interrupt":
      return interrupt(runId)
    case "delete":
      return remove(runId)
    case "terminate":
      return terminate({ runId, ...options })
  }
}

const doneWith: Readonly<Record<Action, string>> = {
  resume: "Asked to go on",
  retry: "It goes on from the step that failed",
  interrupt: "Asked to end",
  terminate: "Ended",
  delete: "Deleted"
}

/** A button that, where it is of no use, can be reached all the same and says why. */
const Reasoned = ({
  isDanger,
  label,
  onClick,
  reason
}: {
  readonly label: string
  readonly reason: string | undefined
  readonly isDanger: boolean
  readonly onClick: () => void
}) => {
  const id = useId()
  return (
    <span class="reasoned">
      <button
        type="button"
        class={isDanger ? "danger" : ""}
        aria-disabled={reason !== undefined}
        {...(reason === undefined ? {} : { "aria-describedby": id })}
        onClick={() => reason === undefined && onClick()}
      >
        {label}
      </button>
      {reason === undefined ? null : (
        <span class="reason" role="tooltip" id={id}>
          {reason}
        </span>
      )}
    </span>
  )
}

export const ActionBar = ({
  again,
  run
}: {
  readonly run: RunWithStepsView
  readonly again: () => void
}) => {
  const [asking, setAsking] = useState<Action | "signal" | undefined>(undefined)
  if (!rights.value.write) {
    return <p class="muted">This token can only read: it changes nothing.</p>
  }
  const close = () => setAsking(undefined)
  const act = async (action: Action, options = {}) => {
    close()
    const answer = await ask(questionOf(action, run.runId, options))
    if (answer.ok) say("done", `${doneWith[action]}: ${shortId(run.runId)}`)
    else say("problem", answer.problem.message)
    if (answer.ok && action === "delete") go(to(["runs"]), { replace: true })
    else again()
  }
  return (
    <div class="buttons">
      <Reasoned
        label="Send a signal"
        isDanger={false}
        reason={isFinal(run.status) ? `It is over: ${run.status}` : undefined}
        onClick={() => setAsking("signal")}
      />
      {actions.map((action) => (
        <Reasoned
          key={action}
          label={labels[action]}
          isDanger={action === "terminate" || action === "delete" || action === "interrupt"}
          reason={notPossible(action, run)}
          onClick={() => (isConfirmed(action) ? setAsking(action) : void act(action))}
        />
      ))}
      <a class="button" href={to(["start"], { workflow: run.workflow, like: run.runId })}>
        Start one like this
      </a>
      {asking === "signal" ? <SignalDialog run={run} onClose={close} /> : null}
      {asking === "terminate" ? (
        <TerminateDialog onClose={close} onConfirm={(options) => void act("terminate", options)} />
      ) : asking !== undefined && asking !== "signal" ? (
        <Confirm
          title={`${labels[asking]} this run?`}
          action={labels[asking]}
          onClose={close}
          onConfirm={() => void act(asking)}
        >
          <p>{consequences[asking]}</p>
        </Confirm>
      ) : null}
    </div>
  )
}

const TerminateDialog = ({
  onClose,
  onConfirm
}: {
  readonly onClose: () => void
  readonly onConfirm: (options: { readonly reason?: string; readonly children: boolean }) => void
}) => {
  const [reason, setReason] = useState("")
  const [children, setChildren] = useState(false)
  const id = useId()
  return (
    <Confirm
      title="Terminate this run?"
      action={labels.terminate}
      onClose={onClose}
      onConfirm={() => onConfirm({ children, ...(reason === "" ? {} : { reason }) })}
    >
      <p>{consequences.terminate}</p>
      <div class="field">
        <label for={id}>Reason</label>
        <input
          id={id}
          maxLength={1_000}
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={children}
          onChange={(event) => setChildren(event.currentTarget.checked)}
        />
        and every run that it has started
      </label>
    </Confirm>
  )
}
