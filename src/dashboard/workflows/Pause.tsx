/** Whether a workflow is paused, and what can be done about it; how a pause is asked for. */
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import type { PauseView } from "../../api/Pauses.js"
import { Confirm } from "../parts/Dialog.js"
import { say } from "../parts/Notices.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { pauseWorkflow, resumeWorkflow } from "../server/Pauses.js"
import { ask } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Paused = ({ park, since }: PauseView) => (
  <p>
    <Status status="paused" /> <When at={since} />.{" "}
    {park ? "None of it begins, and none goes on." : "None of it begins; what has begun goes on."}
  </p>
)

interface Props {
  readonly workflow: string
  readonly pause: PauseView | undefined
  readonly again: () => void
}

/** The buttons, for who may press them. */
export const Change = ({ again, pause, workflow }: Props) => {
  const [isAsking, setAsking] = useState(false)
  const close = () => {
    setAsking(false)
    again()
  }
  const set = async (request: Parameters<typeof ask>[0], done: string) => {
    const answer = await ask(request)
    if (answer.ok) say("done", `${workflow} ${done}`)
    else say("problem", answer.problem.message)
    close()
  }
  if (!rights.value.admin) return null
  return (
    <>
      {pause === undefined ? (
        <button type="button" aria-label={`Pause ${workflow}`} onClick={() => setAsking(true)}>
          Pause
        </button>
      ) : (
        <button
          type="button"
          aria-label={`Resume ${workflow}`}
          onClick={() => void set(resumeWorkflow({ name: workflow }), "goes on")}
        >
          Resume
        </button>
      )}
      {isAsking ? (
        <PauseDialog
          name={workflow}
          onClose={close}
          onConfirm={(park) =>
            void set(pauseWorkflow({ workflow: { name: workflow }, park }), "is paused")
          }
        >
          <p>
            No run of it begins, on any executor, until it is resumed. Runs can be started; they
            wait.
          </p>
        </PauseDialog>
      ) : null}
    </>
  )
}

/** Asks whether what has begun is to stop, too. */
export const PauseDialog = ({
  children,
  name,
  onClose,
  onConfirm
}: {
  /** Of the workflow or the queue. */
  readonly name: string
  readonly children: ComponentChildren
  readonly onClose: () => void
  readonly onConfirm: (park: boolean) => void
}) => {
  const [park, setPark] = useState(false)
  return (
    <Confirm
      title={`Pause ${name}?`}
      action="Pause it"
      onClose={onClose}
      onConfirm={() => onConfirm(park)}
    >
      {children}
      <label class="check">
        <input
          type="checkbox"
          checked={park}
          onChange={(event) => setPark(event.currentTarget.checked)}
        />{" "}
        Stop what has begun, too, where its next step would start
      </label>
    </Confirm>
  )
}
