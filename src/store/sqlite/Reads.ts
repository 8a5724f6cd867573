/** What this store reads. */
import * as Effect from "effect/Effect"
import { portableReads } from "../PortableOperations.js"
import type { RunStore, RunStoreError } from "../RunStore.js"
import * as StepPages from "../StepPages.js"
import * as Claims from "./Claims.js"
import type { Database } from "./Database.js"
import * as Executors from "./Executors.js"
import * as Failure from "./Failure.js"
import * as Listing from "./Listing.js"
import * as Queries from "./Queries.js"
import { inSnapshot, type Sql } from "./Sql.js"
import { stepReader } from "./StepReader.js"

export type Read = ReturnType<typeof readWith>

export const guardedWith =
  (refused: () => RunStoreError | undefined, named: (error: RunStoreError) => RunStoreError) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, RunStoreError> =>
    Effect.suspend(() => {
      const error = refused()
      return error === undefined
        ? Effect.mapError(Failure.orRunStoreError("read")(effect), named)
        : Effect.fail(error)
    })

type Guarded = ReturnType<typeof guardedWith>

export const readWith =
  (guarded: Guarded, database: Database) =>
  <A, E>(query: (sql: Sql) => Effect.Effect<A, E>) =>
    guarded(database.read(query))

export const reads = (guarded: Guarded, database: Database) => {
  const read = readWith(guarded, database)
  return {
    ...portableReads(read),
    find: (runId) => read(Queries.find(runId)),
    findWithSteps: (runId, query) => read(Queries.findWithSteps(runId, query)),
    steps: (runId, query) =>
      read((sql) => inSnapshot(sql, StepPages.steps(stepReader(sql), runId, query))),
    beginningWith: (options) => read(Queries.beginningWith(options)),
    finished: (runIds) => read(Queries.finished(runIds)),
    missing: (runIds) => read(Queries.missing(runIds)),
    list: (query) => guarded(Listing.list(database, query)),
    histories: (runs) => read(Claims.histories(runs)),
    wokenRuns: (executor) => read(Queries.wokenRuns(executor)),
    nextWakeAt: read(Queries.nextWakeAt),
    counts: read(Queries.counts),
    countBy: (filter) => guarded(Listing.countBy(database, filter)),
    queues: read(Queries.queues),
    blocked: read(Queries.blocked),
    oldestPending: read(Queries.oldestPending),
    pendingWorkflows: read(Queries.pendingWorkflows),
    executors: read(Executors.all)
  } satisfies Partial<RunStore["Type"]>
}
