/** What was done with many runs at once, and what is being done. */
import type { BulkView } from "../../api/Bulk.js"
import { useAsked, useEvery, useTitle } from "../Hooks.js"
import { Refused } from "../operations/Refused.js"
import { Which } from "../operations/Which.js"
import { say } from "../parts/Notices.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { count, counted } from "../parts/Words.js"
import { labels } from "../run/Actions.js"
import { bulkOperations, cancelBulk } from "../server/Bulk.js"
import { ask } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Operations = () => {
  useTitle("Operations")
  return (
    <>
      <h1>Operations on many runs</h1>
      {rights.value.admin ? (
        <Listed />
      ) : (
        <p>
          Only a token with the scope <code>admin</code> may see them.
        </p>
      )}
    </>
  )
}

const Listed = () => {
  const { again, problem, value } = useAsked("operations", () => bulkOperations)
  const isAnyRunning = value?.some(({ state }) => state === "running") === true
  useEvery(isAnyRunning ? 1 : 10, again)
  if (problem !== undefined) return <Problem problem={problem} again={again} />
  return value === undefined ? null : value.length === 0 ? (
    <p>
      None in the last 7 days. Where runs are listed, select all that match, and say what is to be
      done with them.
    </p>
  ) : (
    <Table operations={value} again={again} />
  )
}

const Table = ({
  again,
  operations
}: {
  readonly operations: ReadonlyArray<BulkView>
  readonly again: () => void
}) => (
  <Scroller class="scroll" label="Operations">
    <table>
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col">Runs</th>
          <th scope="col">State</th>
          <th scope="col">Asked for</th>
          <th scope="col">Done</th>
          <th scope="col">Refused</th>
          <th scope="col">Change</th>
        </tr>
      </thead>
      <tbody>
        {operations.map((operation) => (
          <Row key={operation.id} operation={operation} again={again} />
        ))}
      </tbody>
    </table>
  </Scroller>
)

const Row = ({
  again,
  operation
}: {
  readonly operation: BulkView
  readonly again: () => void
}) => {
  const { action, done, filter, id, matched, refused, requestedAt, state } = operation
  const total = Object.values(refused).reduce((sum, times) => sum + times, 0)
  const cancel = async () => {
    const answer = await ask(cancelBulk(id))
    if (answer.ok) say("done", `Cancelled, with ${counted(answer.value.done, "run")} done`)
    else say("problem", answer.problem.message)
    again()
  }
  return (
    <tr>
      <th scope="row">
        {labels[action]} <span class="muted">{id}</span>
      </th>
      <td class="text">
        <Which filter={filter} />
      </td>
      <td>
        <Status status={state} />
      </td>
      <td>
        <When at={requestedAt} />
      </td>
      <td>
        {count(done)} of {count(matched)}
      </td>
      <td>
        {total === 0 ? (
          "0"
        ) : (
          <details>
            <summary>{count(total)}</summary>
            <Refused refused={refused} />
          </details>
        )}
      </td>
      <td>
        {state === "running" ? (
          <span class="row-buttons">
            <button
              type="button"
              class="danger"
              aria-label={`Cancel the operation ${id}`}
              onClick={() => void cancel()}
            >
              Cancel
            </button>
          </span>
        ) : null}
      </td>
    </tr>
  )
}
