/** Results that are awaited in one executor, of runs that end in another: on PostgreSQL, which tells of them. */
import { describe, expect, it } from "@effect/vitest"
import { DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import { Runs } from "../../src/runner/Runs.js"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import * as Postgres from "../support/Postgres.js"
import { silent, until } from "./support.js"

const Go = DurableDeferred.make("Go", { success: Schema.String })

const Sends = Workflow.make({
  name: "Sends",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Live = Sends.toLayer(() => DurableDeferred.await(Go))

/** A process of its own, but for its clock. */
const executor = (
  database: Postgres.Database,
  workflows: Layer.Layer<never, never, never> | typeof Live
) =>
  Effect.gen(function* () {
    const layer = Executor.layerCore({ workflows }).pipe(
      Layer.provide(PostgresRunStore.layerUrl(database)),
      Layer.provide(RunnerConfig.layer({ stopTimeout: 0, leaseDuration: "1 day", maxWarmRuns: 0 })),
      Layer.provideMerge(silent)
    )
    const memoMap = yield* Layer.makeMemoMap
    return yield* Layer.buildWithMemoMap(layer, memoMap, yield* Effect.scope)
  })

const execute = (id: string) => Effect.fork(Sends.execute({ id }))

const signal = (id: string, value: string) =>
  Effect.gen(function* () {
    const runId = yield* Sends.executionId({ id })
    yield* Effect.flatMap(Runs, (runs) => runs.signal({ runId, name: "Go", value }))
  })

/** The run waits, and whoever has it next is to tell of its end. */
const isAwaited = ({ schema }: Postgres.Database, id: string) =>
  Effect.gen(function* () {
    const runId = yield* Sends.executionId({ id })
    const { rowCount } = yield* Postgres.execute(
      `SELECT 1 FROM "${schema}".workflow_runs
      WHERE run_id = '${runId}' AND status = 'suspended' AND awaited = 1`
    )
    return rowCount === 1
  })

describe("a result that is awaited", () => {
  it.scoped(
    "is there at once where another executor has executed the run",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const asks = yield* executor(database, Layer.empty)
        const works = yield* executor(database, Live)
        const waiting = yield* Effect.provide(execute("a"), asks)
        yield* until("it is awaited", isAwaited(database, "a"))
        yield* Effect.provide(signal("a", "of a"), works)
        expect(yield* Fiber.join(waiting)).toBe("of a")
      }),
    60_000
  )

  it.scoped(
    "is there at once where the run was begun here, and goes on elsewhere",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.database
        const here = yield* executor(database, Layer.empty)
        const scope = yield* Scope.make()
        yield* Effect.provide(Layer.buildWithScope(Live, scope), here)
        const waiting = yield* Effect.provide(execute("b"), here)
        yield* until("it is awaited", isAwaited(database, "b"))
        // nobody executes it here any more
        yield* Scope.close(scope, Exit.void)
        const elsewhere = yield* executor(database, Live)
        yield* Effect.provide(signal("b", "of b"), elsewhere)
        expect(yield* Fiber.join(waiting)).toBe("of b")
      }),
    60_000
  )
})
