/** Workflows that are paused: what of them is begun, and what goes on. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { RunStoreError } from "./Failures.js"
import type { Portable, PortableTransaction } from "./Portable.js"
import type { Millis } from "./Records.js"

export interface PausedWorkflow {
  readonly workflow: string
  readonly since: Millis
  /** What has begun is not gone on with either. */
  readonly parks: boolean
}

export interface PauseStore {
  /**
   * From when this succeeds on no run of the workflow is claimed, nor begun when it is created, unless
   * it has begun before or its interrupt was asked for; with `parks` none is, whatever it has. What is
   * held goes on, as far as its holder lets it.
   */
  readonly pauseWorkflow: (pause: {
    readonly workflow: string
    readonly parks: boolean
  }) => Effect.Effect<void, RunStoreError>
  /** Answers whether it was paused. */
  readonly resumeWorkflow: (workflow: string) => Effect.Effect<boolean, RunStoreError>
  /** By their names. */
  readonly pausedWorkflows: Effect.Effect<ReadonlyArray<PausedWorkflow>, RunStoreError>
  /** The queues that are paused with `parks`; see `changeQueue`. */
  readonly parkedQueues: Effect.Effect<ReadonlyArray<string>, RunStoreError>
}

const insertPause = `
  INSERT INTO workflow_paused (workflow, since, parks) VALUES (?, ?, ?)
  ON CONFLICT (workflow) DO UPDATE SET parks = excluded.parks`

export const pause = (
  transaction: PortableTransaction,
  { parks, workflow }: { readonly workflow: string; readonly parks: boolean }
): Effect.Effect<void, SqlError> =>
  Effect.map(transaction.changes(insertPause, [workflow, transaction.now, parks ? 1 : 0]), () => {
    transaction.log.pausesChanged()
    // one that parked no more may be gone on with
    transaction.log.becamePending()
  })

const deletePause = "DELETE FROM workflow_paused WHERE workflow = ?"

export const resume = (
  transaction: PortableTransaction,
  workflow: string
): Effect.Effect<boolean, SqlError> =>
  Effect.map(transaction.changes(deletePause, [workflow]), (changed) => {
    transaction.log.pausesChanged()
    transaction.log.becamePending()
    return changed > 0
  })

interface Row {
  readonly workflow: string
  readonly since: Millis
  readonly parks: number
}

const selectAll = "SELECT workflow, since, parks FROM workflow_paused ORDER BY workflow"

export const all = (sql: Portable): Effect.Effect<ReadonlyArray<PausedWorkflow>, SqlError> =>
  Effect.map(sql.rows<Row>(selectAll), (rows) =>
    rows.map(({ parks, ...row }) => ({ ...row, parks: parks === 1 }))
  )
