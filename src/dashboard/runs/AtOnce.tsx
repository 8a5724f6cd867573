/** One action for all runs of a filter, as one operation of the executors: it goes on without this page. */
import { useEffect, useState } from "preact/hooks"
import type { BulkFilter, BulkView } from "../../api/Bulk.js"
import type { ListRequest } from "../../api/Requests.js"
import { type RunStatus, runStatuses } from "../../api/Status.js"
import { useAsked, useEvery } from "../Hooks.js"
import { Refused } from "../operations/Refused.js"
import { Dialog } from "../parts/Dialog.js"
import { Problem } from "../parts/Problem.js"
import { count, counted } from "../parts/Words.js"
import { to } from "../Router.js"
import { type Action, labels, notIn } from "../run/Actions.js"
import { bulk, bulkOperation, cancelBulk, previewBulk } from "../server/Bulk.js"
import { ask, type Problem as Told } from "../server/Server.js"
import { Preview } from "./OneByOne.js"

interface Props {
  readonly action: Action
  readonly filter: ListRequest
  /** @param done whether something was done */
  readonly onClose: (done: boolean) => void
  /** Nothing is done with many at once here. */
  readonly onRefused: () => void
}

/** Of those that are asked for, the statuses in which the action is of use. */
const statusesFor = (action: Action, { status = runStatuses }: ListRequest) =>
  status.filter((one) => notIn(action, one) === undefined)

const filterOf = (
  { include: _, limit: __, cursor: ___, ...filter }: ListRequest,
  status: ReadonlyArray<RunStatus> | undefined
): BulkFilter => ({ ...filter, status })

interface Counted {
  readonly total: number
  readonly possible: number
}

/** How many there are, and of those, with how many it can be done. */
const useCounts = ({ action, filter, onRefused }: Props) => {
  const [counts, setCounts] = useState<Counted | undefined>(undefined)
  const [problem, setProblem] = useState<Told | undefined>(undefined)
  // who it is for is decided once
  useEffect(() => {
    const controller = new AbortController()
    const matching = (status: ReadonlyArray<RunStatus> | undefined) =>
      ask(previewBulk({ action, filter: filterOf(filter, status), all: true }), controller.signal)
    const read = async () => {
      const status = statusesFor(action, filter)
      const [all, fit] = await Promise.all([
        matching(filter.status),
        status.length === 0 ? { ok: true as const, value: { matched: 0 } } : matching(status)
      ])
      if (controller.signal.aborted) return
      if (all.ok && fit.ok) {
        return setCounts({ total: all.value.matched, possible: fit.value.matched })
      }
      const refusal = all.ok ? (fit.ok ? undefined : fit.problem) : all.problem
      if (refusal?.tag === "Forbidden") onRefused()
      else setProblem(refusal)
    }
    void read()
    return () => controller.abort()
  }, [])
  return { counts, problem }
}

export const AtOnce = (props: Props) => {
  const { action, filter, onClose } = props
  const { counts, problem } = useCounts(props)
  const [id, setId] = useState<number | undefined>(undefined)
  const [failed, setFailed] = useState<Told | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const send = async () => {
    setBusy(true)
    const answer = await ask(
      bulk({ action, filter: filterOf(filter, statusesFor(action, filter)) })
    )
    setBusy(false)
    if (answer.ok) setId(answer.value.id)
    else setFailed(answer.problem)
  }
  const told = problem ?? failed
  return (
    <Dialog title={`${labels[action]} runs`} onClose={() => onClose(id !== undefined)}>
      {told === undefined ? null : <Problem problem={told} />}
      {id !== undefined ? (
        <Progress id={id} onClose={() => onClose(true)} />
      ) : (
        <>
          <Preview
            action={action}
            isDone={counts !== undefined}
            isCut={false}
            possible={counts?.possible ?? 0}
            total={counts?.total ?? 0}
          />
          <p class="buttons">
            <button type="button" onClick={() => onClose(false)}>
              Cancel
            </button>
            <button
              type="button"
              class="danger"
              disabled={counts === undefined || counts.possible === 0 || isBusy}
              onClick={() => void send()}
            >
              {counts === undefined
                ? "Counting"
                : `${labels[action]} ${counted(counts.possible, "run")}`}
            </button>
          </p>
        </>
      )}
    </Dialog>
  )
}

const words: Readonly<Record<BulkView["state"], string>> = {
  running: "",
  completed: "Done: ",
  cancelled: "Cancelled: "
}

const Progress = ({ id, onClose }: { readonly id: number; readonly onClose: () => void }) => {
  const { again, problem, value } = useAsked(`bulk ${id}`, () => bulkOperation(id))
  const isRunning = value === undefined || value.state === "running"
  useEvery(0.5, () => isRunning && again())
  const cancel = async () => {
    await ask(cancelBulk(id))
    again()
  }
  const refused = Object.values(value?.refused ?? {}).reduce((sum, times) => sum + times, 0)
  return (
    <>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value === undefined ? (
        <p class="muted">Asked for</p>
      ) : (
        <>
          <progress
            max={Math.max(1, value.matched)}
            value={value.done + refused}
            aria-label="Progress"
          />
          <p role="status">
            {words[value.state]}
            {counted(value.done, "run")} of {count(value.matched)}
            {refused === 0 ? "" : `; ${counted(refused, "was", "were")} refused`}
          </p>
          <Refused refused={value.refused} />
        </>
      )}
      {isRunning ? (
        <p>
          The executors go on with it without this page; it is told of with the{" "}
          <a href={to(["bulk"])}>operations</a>.
        </p>
      ) : null}
      <p class="buttons">
        {isRunning ? (
          <button type="button" class="danger" onClick={() => void cancel()}>
            Cancel the operation
          </button>
        ) : null}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </p>
    </>
  )
}
