/** The operations of a store that are written once for all: a store says how it writes, and how it reads. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Admission from "./Admission.js"
import * as Bulk from "./Bulk.js"
import * as Pauses from "./Pauses.js"
import type { Portable, PortableTransaction } from "./Portable.js"
import * as Removal from "./Removal.js"
import { retry } from "./Retry.js"
import type { RunStore, RunStoreError } from "./RunStore.js"
import * as Schedules from "./ScheduleRows.js"
import * as StepPages from "./StepPages.js"
import type { Operation } from "./Write.js"

/** As that of `GroupCommit`. */
type Write = <A>(
  operation: Operation<PortableTransaction, A>,
  bytes?: number,
  run?: string
) => Effect.Effect<A, RunStoreError>

export const portableWrites = (
  write: Write,
  {
    onQueue,
    removeRun
  }: {
    /** There is a queue: another process may have made it. */
    readonly onQueue: () => void
    readonly removeRun: Removal.RemoveRun
  }
) =>
  ({
    retry: (options) => write((transaction) => retry(transaction, options), 0, options.runId),
    remove: (runId) =>
      write((transaction) => Removal.remove(transaction, { runId, removeRun }), 0, runId),
    prune: (options) =>
      write((transaction) => Removal.prune(transaction, { ...options, removeRun })),
    changeQueue: (change) =>
      write((transaction) =>
        Effect.map(Admission.change(transaction, change), (found) => {
          if (found) onQueue()
          return found
        })
      ),
    createBulk: (bulk) => write((transaction) => Bulk.create(transaction, bulk)),
    claimBulk: (claiming) => write((transaction) => Bulk.claim(transaction, claiming)),
    advanceBulk: (part) => write((transaction) => Bulk.advance(transaction, part)),
    cancelBulk: (id) => write((transaction) => Bulk.cancel(transaction, id)),
    pauseWorkflow: (pause) => write((transaction) => Pauses.pause(transaction, pause)),
    resumeWorkflow: (workflow) => write((transaction) => Pauses.resume(transaction, workflow)),
    removeSchedule: (name) => write(Schedules.remove(name), 0, `schedule/${name}`)
  }) satisfies Partial<RunStore["Type"]>

type Read = <A>(
  use: (sql: Portable) => Effect.Effect<A, SqlError>
) => Effect.Effect<A, RunStoreError>

export const portableReads = (read: Read) =>
  ({
    step: (key) => read((sql) => StepPages.step(sql, key)),
    stepFailedWith: (options) => read((sql) => StepPages.stepFailedWith(sql, options)),
    findBulk: (id) => read((sql) => Bulk.find(sql, id)),
    bulks: read(Bulk.newest),
    hasBulk: read(Bulk.hasAny),
    pausedWorkflows: read(Pauses.all),
    parkedQueues: read(Admission.parked),
    findSchedule: (name) => read(Schedules.find(name)),
    listSchedules: (options) => read(Schedules.list(options)),
    dueSchedules: (options) => read(Schedules.dueOf(options)),
    nextSchedule: (options) => read(Schedules.nextOf(options)),
    lastBeginningWith: (options) => read(Schedules.lastBeginningWith(options))
  }) satisfies Partial<RunStore["Type"]>
