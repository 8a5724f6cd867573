import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Creating, Creation } from "../Creation.js"
import { claimedAtOnce } from "../Creation.js"
import { removeRun } from "../Removal.js"
import type { RunRow } from "../Rows.js"
import { newRun, runColumns, toRun } from "../Rows.js"
import type { ClaimedRun, CreatedRun, NewRun, Run } from "../RunStore.js"
import { isFinal, RunLost } from "../RunStore.js"
import type { Batch, Operation } from "../Write.js"
import { removedMeanwhile } from "./Again.js"
import { lostAmong } from "./Claims.js"
import type { Committed, Created } from "./Commit.js"
import { commit } from "./Commit.js"
import { inTransaction } from "./Numbered.js"
import type { Sql } from "./Sql.js"
import type { Transaction } from "./Transaction.js"
import { requestInterrupt } from "./WakeUps.js"

/** Of two that have the same id, the first is the one that creates the run. */
export const firstOfEach = (creations: ReadonlyArray<Creation>): ReadonlyArray<Creation> => {
  const first = new Map<string, Creation>()
  for (const creation of creations) {
    if (!first.has(creation.run.runId)) first.set(creation.run.runId, creation)
  }
  return [...first.values()]
}

export const createAll: Batch<Transaction, Creation, CreatedRun, RunLost> =
  (creations) => (transaction) =>
    Effect.gen(function* () {
      const holders = creations.flatMap(({ by }) => (by === undefined ? [] : [by]))
      const lost = yield* lostAmong(transaction, holders)
      const isLost = ({ by }: Creation) => by !== undefined && lost.has(by)
      const allowed = firstOfEach(creations.filter((creation) => !isLost(creation)))
      const committed = yield* commit(transaction, { creations: allowed })
      const answer = answers(committed, transaction.now)
      const found = creations.map((creation) => ({
        creation,
        created: isLost(creation) ? undefined : answer(creation)
      }))
      const exits = new Map<Creation, Exit.Exit<CreatedRun, RunLost>>()
      // who links the same runs locks them in the same order
      for (const { created, creation } of found.sort(byRun)) {
        const { by, claimFor, run } = creation
        if (by !== undefined && lost.has(by)) {
          exits.set(creation, Exit.fail(new RunLost({ runId: by.runId })))
          continue
        }
        const there = created ?? (yield* existing(transaction, run.runId, selectRunToLink))
        yield* link(transaction, run, there)
        const claimed = claimFor === undefined ? undefined : created?.claimed
        exits.set(
          creation,
          Exit.succeed({ run: there.run, created: created !== undefined, claimed })
        )
      }
      return creations.map((creation) => exits.get(creation) ?? Exit.die(creation))
    })

const byRun = (
  { creation: a }: { readonly creation: Creation },
  { creation: b }: { readonly creation: Creation }
) => (a.run.runId < b.run.runId ? -1 : a.run.runId > b.run.runId ? 1 : 0)

interface Found {
  readonly key: number
  readonly run: Run
}

interface New extends Found {
  readonly claimed: ClaimedRun | undefined
}

/** What a creation came to; `undefined` where the run was there, or an earlier one has created it. */
export const answers = ({ created, signals }: Committed, now: number) => {
  const left = new Map<string, Created>(created)
  return ({ claimFor, run }: Creation): New | undefined => {
    const row = left.get(run.runId)
    if (row === undefined) return undefined
    left.delete(run.runId)
    const { executor, key } = row
    return {
      key,
      run: newRun(run, executor, now),
      claimed:
        claimFor !== undefined && executor === claimFor
          ? claimedAtOnce(run, { executor, key }, signals.get(run.runId))
          : undefined
    }
  }
}

export const selectRun = `SELECT ${runColumns} FROM workflow_runs WHERE run_id = $1`

/** It neither ends nor is removed before the link to its parent is there. */
const selectRunToLink = `${selectRun} FOR SHARE`

/** A run that was there a moment ago. If it was removed since, all of this is done once more. */
export const existing = (
  sql: Pick<Sql, "rows">,
  runId: string,
  select = selectRun
): Effect.Effect<Found, SqlError> =>
  Effect.flatMap(sql.rows<RunRow>(select, [runId]), ([row]) =>
    row === undefined
      ? Effect.fail(removedMeanwhile(runId))
      : Effect.succeed({ key: row.id, run: toRun(row) })
  )

/**
 * A parent that has once asked to be woken stays to be woken. A `wakeup` of 0: when it awaited the child,
 * that was over.
 */
const insertChild = `
  INSERT INTO workflow_children AS c (parent, child, awaits, wakeup)
  SELECT id, $1::bigint, $2::smallint, $3::integer FROM workflow_runs WHERE run_id = $4
  ON CONFLICT (parent, child) DO UPDATE SET
    awaits = greatest(c.awaits, excluded.awaits), wakeup = coalesce(c.wakeup, excluded.wakeup)`

const link = (
  transaction: Transaction,
  { parent, workflow }: NewRun,
  { key, run }: Found
): Effect.Effect<unknown, SqlError> => {
  // one of another workflow is not what its parent has asked for
  if (parent === undefined || run.workflow !== workflow) return Effect.void
  const { awaits, runId } = parent
  const isOver = isFinal(run.status)
  return transaction.changes(insertChild, [
    key,
    awaits && !isOver ? 1 : 0,
    awaits && isOver ? 0 : null,
    runId
  ])
}

/** A part of a transaction that may do more: in which runs are created in any way. */
export const creating =
  <A, E extends RunLost = never>(
    operation: Operation<Creating, A, E>
  ): Operation<Transaction, A, E> =>
  (transaction) =>
    operation({
      ...inTransaction(transaction),
      createAll: (creations) => createAll(creations)(transaction),
      interrupt: (runId) => requestInterrupt(runId)(transaction),
      remove: (run) => removeRun(inTransaction(transaction), run)
    })
