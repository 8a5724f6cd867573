/** The queues that runs wait in: how full they are, what bounds them, and what can be done about it. */
import { useState } from "preact/hooks"
import type { QueueView } from "../../api/Queues.js"
import type { WorkflowView } from "../../api/RunView.js"
import { useAsked, useEvents, useEvery, useThrottled, useTitle } from "../Hooks.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { count, counted } from "../parts/Words.js"
import { told } from "../queues/Limits.js"
import { LimitsDialog } from "../queues/LimitsDialog.js"
import { to } from "../Router.js"
import { calmly } from "../server/Live.js"
import { changeQueue, queues } from "../server/Queues.js"
import { ask, workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { PauseDialog } from "../workflows/Pause.js"

export const Queues = () => {
  const { again, problem, value } = useAsked("queues", () => queues)
  const askAgain = useThrottled(calmly(again), 2_000)
  useEvents((event) => event.type === "run" && askAgain())
  useEvery(5, again)
  useTitle("Queues")
  return (
    <>
      <h1>Queues</h1>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value === undefined ? null : value.length === 0 ? (
        <p>
          There is none yet. A workflow declares one with the annotation <code>RunQueue</code>; it
          is here from the first run that was started in it.
        </p>
      ) : (
        <Table queues={value} again={again} />
      )}
    </>
  )
}

interface TableProps {
  readonly queues: ReadonlyArray<QueueView>
  readonly again: () => void
}

const Table = ({ again, queues }: TableProps) => {
  const registered = useAsked("workflows", () => workflows)
  return (
    <Scroller class="scroll" label="Queues">
      <table>
        <thead>
          <tr>
            <th scope="col">Queue</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Under way
            </th>
            <th scope="col" class="number">
              Waiting
            </th>
            <th scope="col">Limits</th>
            <th scope="col">Runs of</th>
            {rights.value.admin ? <th scope="col">Change</th> : null}
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <Row
              key={queue.name}
              queue={queue}
              again={again}
              workflows={(registered.value ?? []).filter((one) => one.queue === queue.name)}
            />
          ))}
        </tbody>
      </table>
    </Scroller>
  )
}

const Row = ({
  again,
  queue,
  workflows
}: {
  readonly queue: QueueView
  readonly workflows: ReadonlyArray<WorkflowView>
  readonly again: () => void
}) => (
  <tr>
    <th scope="row" class="text">
      {queue.name}
    </th>
    <td>
      <Status status={queue.paused ? "paused" : "active"} />
      {queue.park === true ? " and parked" : null}
    </td>
    <td class="number">{count(queue.running)}</td>
    <td class="number">{count(queue.waiting)}</td>
    <td>
      {told(queue.override ?? queue.declared)}
      {queue.override === undefined ? null : (
        <div class="muted">in place of the code's: {told(queue.declared)}</div>
      )}
    </td>
    <td>
      {workflows.map(({ name }, index) => (
        <span key={name}>
          {index === 0 ? "" : ", "}
          <a class="text" href={to(["runs"], { workflow: name, status: ["pending", "running"] })}>
            {name}
          </a>
        </span>
      ))}
    </td>
    {rights.value.admin ? (
      <td>
        <Change queue={queue} again={again} />
      </td>
    ) : null}
  </tr>
)

const Change = ({ again, queue }: { readonly queue: QueueView; readonly again: () => void }) => {
  const [asking, setAsking] = useState<"limits" | "pause" | undefined>(undefined)
  const waiting = counted(queue.waiting, "run")
  const close = () => {
    setAsking(undefined)
    again()
  }
  const set = async (paused: boolean, park = false) => {
    const answer = await ask(changeQueue({ name: queue.name, paused, park }))
    if (answer.ok) say("done", `${queue.name} ${paused ? "is paused" : "goes on"}`)
    else say("problem", answer.problem.message)
    close()
  }
  return (
    <span class="row-buttons">
      <button
        type="button"
        aria-label={`Change the limits of ${queue.name}`}
        onClick={() => setAsking("limits")}
      >
        Limits
      </button>
      {queue.paused ? (
        <button type="button" aria-label={`Resume ${queue.name}`} onClick={() => void set(false)}>
          Resume
        </button>
      ) : (
        <button type="button" aria-label={`Pause ${queue.name}`} onClick={() => setAsking("pause")}>
          Pause
        </button>
      )}
      {asking === "limits" ? <LimitsDialog queue={queue} onClose={close} /> : null}
      {asking === "pause" ? (
        <PauseDialog name={queue.name} onClose={close} onConfirm={(park) => void set(true, park)}>
          <p>
            Nothing of it begins until it is resumed: neither what waits now ({waiting}) nor what is
            started meanwhile. What is under way goes on.
          </p>
        </PauseDialog>
      ) : null}
    </span>
  )
}
