/** Who works on the store, and the drain of the one that answers. */
import { useState } from "preact/hooks"
import type { ExecutorView } from "../../api/RunView.js"
import { now, useAsked, useEvents, useEvery, useTitle } from "../Hooks.js"
import { stateOf } from "../overview/ExecutorState.js"
import { Confirm } from "../parts/Dialog.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { When } from "../parts/When.js"
import { count } from "../parts/Words.js"
import { executorState } from "../server/Live.js"
import { ask, drain, executors } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Executors = () => {
  useTitle("Executors")
  return (
    <>
      <h1>Executors</h1>
      {rights.value.admin ? (
        <Table />
      ) : (
        <p>
          Only a token with the scope <code>admin</code> may see them.
        </p>
      )}
    </>
  )
}

const Table = () => {
  const { again, problem, value } = useAsked("executors", () => executors)
  useEvery(5, again)
  useEvents((event) => event.type === "executor" && again())
  return (
    <>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      <Scroller class="scroll" label="Executors">
        <table>
          <thead>
            <tr>
              <th scope="col">Executor</th>
              <th scope="col">State</th>
              <th scope="col">Version</th>
              <th scope="col">Host</th>
              <th scope="col">Process</th>
              <th scope="col">Since</th>
              <th scope="col" class="number">
                Runs held
              </th>
              <th scope="col" class="number">
                Steps in flight
              </th>
              <th scope="col">Lease until</th>
            </tr>
          </thead>
          <tbody>
            {value?.map((executor) => (
              <Row key={executor.id} {...executor} />
            ))}
          </tbody>
        </table>
      </Scroller>
      <Drain />
    </>
  )
}

const Row = (executor: ExecutorView) => (
  <tr>
    <th scope="row">
      {executor.id}
      {executor.self ? <span class="muted"> (this one)</span> : null}
    </th>
    <td>{stateOf(executor, now.value)}</td>
    <td>{executor.version ?? <span class="muted">not told</span>}</td>
    <td class="text">{executor.host}</td>
    <td>{executor.pid}</td>
    <td>
      <When at={executor.startedAt} />
    </td>
    <td class="number">{count(executor.runs)}</td>
    <td class="number">
      {executor.stepsInFlight === undefined ? "" : count(executor.stepsInFlight)}
    </td>
    <td>{executor.leaseUntil === null ? "taken over" : <When at={executor.leaseUntil} />}</td>
  </tr>
)

const Drain = () => {
  const [isAsking, setAsking] = useState(false)
  const isLeaving = executorState.value === "draining" || executorState.value === "stopped"
  const confirm = async () => {
    setAsking(false)
    const answer = await ask(drain)
    if (answer.ok) say("done", `The executor is ${answer.value}`)
    else say("problem", answer.problem.message)
  }
  return (
    <p class="buttons">
      <button type="button" class="danger" disabled={isLeaving} onClick={() => setAsking(true)}>
        {isLeaving ? `This executor is ${executorState.value}` : "Drain this executor"}
      </button>
      {isAsking ? (
        <Confirm
          title="Drain this executor?"
          action="Drain and stop"
          onClose={() => setAsking(false)}
          onConfirm={() => void confirm()}
        >
          <p>
            No step starts any more; those in flight are finished and recorded, within the stop
            timeout. Then the process ends. Whether another one starts is up to what supervises it.
          </p>
        </Confirm>
      ) : null}
    </p>
  )
}
