/** What `doctor` sees of a database of PostgreSQL. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Settings from "../Settings.js"
import { RunStore, type RunStoreError } from "../store/RunStore.js"
import * as Database from "./Database.js"
import type { Finding } from "./Findings.js"
import { found, ofBlockedRuns, ofExecutors, ofPauses, ofWaitingWorkflows } from "./Findings.js"

type Postgres = Extract<Settings.Database, { readonly _tag: "Postgres" }>

const work = Effect.gen(function* () {
  const store = yield* RunStore
  const now = yield* Clock.currentTimeMillis
  const executors = yield* store.executors
  const counts = yield* store.counts
  return [
    ...ofExecutors(executors, now),
    ofBlockedRuns(yield* store.blocked),
    ofWaitingWorkflows(yield* store.pendingWorkflows, counts.pending, executors.length > 0),
    ...ofPauses(yield* store.pausedWorkflows)
  ]
})

const problem = (check: string) => (error: RunStoreError) =>
  Effect.succeed([found(check, "problem", error.message)])

export const examine = (database: Postgres): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const name = found("database", "ok", Database.nameOf(database))
    const versions = yield* Effect.either(Database.versions(database))
    if (versions._tag === "Left") {
      return [found("database", "problem", versions.left.message)]
    }
    const { ours, theirs } = versions.right
    if (ours !== theirs) {
      return [name, found("schema", "problem", Database.describeSchema(versions.right))]
    }
    const seen = yield* work.pipe(
      Effect.provide(Database.layerPostgres(database)),
      Effect.catchAll(problem("runs"))
    )
    return [name, found("schema", "ok", `${ours}, that of this version`), ...seen]
  })
