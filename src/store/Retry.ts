/** Begins a run again that is over, where it failed. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { racePrefix } from "../values/ReservedNames.js"
import type { Dialect } from "./Dialect.js"
import { type FinishedRow, find } from "./Finished.js"
import type { PortableTransaction } from "./Portable.js"
import { wasTerminated } from "./Rows.js"
import type { Millis, WithFinished } from "./RunStore.js"
import * as ScheduleRows from "./ScheduleRows.js"

const any = (transaction: PortableTransaction, statement: string, key: number) =>
  Effect.map(transaction.rows(statement, [key]), (rows) => rows.length > 0)

/** In SQL: whether a parent awaits the child, or was woken by its end. One that discarded it did neither. */
const isAwaited = "(awaits = 1 OR wakeup IS NOT NULL)"

/**
 * A run replays what the children that it awaited came to, but one that is suspended because of a failure
 * has not gone on from it.
 */
const goneOnParent = ({ by, join }: Dialect) => `
  SELECT 1 FROM workflow_children c ${by("workflow_children_of")}
  ${join} workflow_runs r ON r.id = c.parent
  WHERE c.child = ? AND ${isAwaited} AND (
    r.status IN ('pending', 'running') OR (r.status = 'suspended' AND r.cause IS NULL)
  ) LIMIT 1`

/** A child that was removed would begin anew. */
const removedChild = `
  SELECT 1 FROM workflow_children c
  WHERE c.parent = ? AND NOT EXISTS (SELECT 1 FROM workflow_runs WHERE id = c.child) LIMIT 1`

const lastCompletedBy = (time: "completed_at" | "started_at") => `
  SELECT ${time} AS at, position FROM workflow_steps
  WHERE run = ? AND status = 'completed' ORDER BY ${time} DESC, position DESC LIMIT 1`

/**
 * In SQL: whether the run did not get over a failure at this place. It did where a step that completed began
 * after it; or completed after it, and another began: one that was in flight beside it tells nothing alone.
 * The parameters are those of `lastOf`.
 */
const notGotOver = (
  place: { readonly run: string; readonly at: string; readonly position: string },
  another = ""
) => {
  const failure = `(${place.at}, ${place.position})`
  return `${failure} > (?, ?) AND (${failure} > (?, ?) OR NOT EXISTS (
    SELECT 1 FROM workflow_steps s
    WHERE s.run = ${place.run} AND (s.started_at, s.position) > ${failure} ${another}
  ))`
}

/**
 * The failures that the run did not get over. The others were tried again, or made the run take another way,
 * and stay. All attempts of the step that failed are made anew.
 */
const deleteFailures = `
  DELETE FROM workflow_steps AS f
  WHERE f.run = ? AND f.status = 'failed' AND ${notGotOver(
    { run: "f.run", at: "f.completed_at", position: "f.position" },
    "AND s.name <> f.name"
  )}`

/**
 * A race that failed is over as well, until that is forgotten: it is a signal of the run to itself. Any other
 * may have come from outside, and stays.
 */
const deleteRaces = `
  DELETE FROM workflow_signals
  WHERE run_id = ? AND substr(name, 1, ${racePrefix.length}) = '${racePrefix}'
    AND exit LIKE '{"_tag":"Failure"%'
    AND ${notGotOver({
      // a subquery: what it has of a run is found by its key
      run: "(SELECT id FROM workflow_runs r WHERE r.run_id = workflow_signals.run_id)",
      at: "workflow_signals.received_at",
      position: "workflow_signals.position"
    })}`

/** Who awaits it is to hear of its new end, and who is suspended: that may be because of its failure. */
const awaitAgain = `
  UPDATE workflow_children SET awaits = 1
  WHERE child = ? AND (${isAwaited} OR EXISTS (
    SELECT 1 FROM workflow_runs r WHERE r.id = workflow_children.parent AND r.cause IS NOT NULL
  ))`

const beginAgain = `
  UPDATE workflow_runs SET
    status = 'pending', exit = NULL, cause = NULL, waits_for = NULL, compensated = NULL, completed_at = NULL,
    spared = NULL, executor = NULL,
    interrupt_requested = 0, interrupt_wakeup = NULL, interrupt_at = NULL,
    wakeups = wakeups + 1, crashes = 0, deadline = NULL, timed_out = NULL
  WHERE id = ?`

/** So many runs are retried in one write. */
const maxRetried = 1_000

/**
 * Children whose failure the run did not get over, as `deleteFailures` has it for steps; only those
 * that it awaited have a `wakeup`.
 */
const failedChildren = ({ forUpdateOf, join }: Dialect) => `
  SELECT r.id, r.run_id, r.status, r.compensated FROM workflow_children c
  ${join} workflow_runs r ON r.id = c.child
  WHERE c.parent = ? AND c.wakeup IS NOT NULL AND r.status IN ('failed', 'interrupted')
    AND ${notGotOver({ run: "c.parent", at: "r.completed_at", position: "coalesce(c.position, 0)" })}
  ORDER BY c.child LIMIT ${maxRetried + 1} ${forUpdateOf("r")}`

interface Last {
  readonly at: Millis
  readonly position: number
}

/** Where the step of the run began that did so last, of those that completed, and where the last completed. */
const lastOf = (transaction: PortableTransaction, key: number) =>
  Effect.map(
    Effect.forEach(["started_at", "completed_at"] as const, (time) =>
      transaction.rows<Last>(lastCompletedBy(time), [key])
    ),
    (found) => found.flatMap(([last]) => [last?.at ?? -1, last?.position ?? -1])
  )

type Because = Extract<WithFinished, { readonly _tag: "Refused" }>["because"]

/** Why it cannot be begun again, if it cannot. */
const whyNot = (
  transaction: PortableTransaction,
  { compensated, id, status }: FinishedRow
): Effect.Effect<Because | undefined, SqlError> =>
  Effect.gen(function* () {
    if (status !== "failed" && status !== "interrupted") return "status"
    if (compensated === wasTerminated) return "terminated"
    // of a run that ended before this was noted it is not known
    if (compensated !== 0) return "compensated"
    if (yield* any(transaction, goneOnParent(transaction.dialect), id)) return "parent"
    if (yield* any(transaction, removedChild, id)) return "child"
    return undefined
  })

const again = (transaction: PortableTransaction, run: FinishedRow) =>
  Effect.gen(function* () {
    const last = yield* lastOf(transaction, run.id)
    yield* transaction.changes(deleteFailures, [run.id, ...last])
    yield* transaction.changes(deleteRaces, [run.run_id, ...last])
    yield* transaction.changes(awaitAgain, [run.id])
    yield* transaction.changes(beginAgain, [run.id])
    yield* ScheduleRows.began(transaction, run.run_id)
  })

export const retry = (
  transaction: PortableTransaction,
  {
    runId,
    withChildren = false
  }: { readonly runId: string; readonly withChildren?: boolean | undefined }
): Effect.Effect<WithFinished, SqlError> =>
  Effect.gen(function* () {
    const run = yield* find(transaction, runId)
    if (run === undefined) return { _tag: "NotFound" }
    const { status } = run
    const refused = (because: Because, by: FinishedRow): WithFinished => ({
      _tag: "Refused",
      status,
      because,
      ...(by === run ? {} : { runId: by.run_id })
    })
    // children after the runs that they are retried for; all are looked at before one is changed
    const all = new Map([[run.id, run]])
    for (const one of all.values()) {
      const because = yield* whyNot(transaction, one)
      if (because !== undefined) return refused(because, one)
      const children = yield* transaction.rows<FinishedRow>(failedChildren(transaction.dialect), [
        one.id,
        ...(yield* lastOf(transaction, one.id))
      ])
      const [first] = children
      if (first !== undefined && !withChildren) return refused("failed child", first)
      for (const child of children) if (!all.has(child.id)) all.set(child.id, child)
      if (all.size > maxRetried) return refused("too many", run)
    }
    for (const one of all.values()) yield* again(transaction, one)
    transaction.log.becamePending()
    return { _tag: "Done" }
  })
