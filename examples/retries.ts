/**
 * A step that is tried again, with waits that grow.
 *
 * Stop it with Ctrl-C in a wait and start it again: it goes on in the same wait, with the same
 * attempt.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Activity, Workflow } from "@effect/workflow"
import { Effect, Schedule, Schema } from "effect"
import { Executor, Step } from "effect-workflow-executor"

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { attempt: Schema.Int }) {}

const Charge = Workflow.make({
  name: "Charge",
  payload: { orderId: Schema.String },
  success: Schema.String,
  error: NoAnswer,
  idempotencyKey: ({ orderId }) => orderId
})

const ChargeLive = Charge.toLayer(({ orderId }) =>
  Activity.make({
    name: "charge",
    success: Schema.String,
    error: NoAnswer,
    // the bank answers at the fourth attempt
    execute: Effect.gen(function* () {
      const attempt = yield* Activity.CurrentAttempt
      yield* Effect.log(`attempt ${attempt}`)
      return attempt < 4 ? yield* new NoAnswer({ attempt }) : `receipt of ${orderId}`
    })
  }).pipe(Step.retry({ times: 5, schedule: Schedule.jittered(Schedule.exponential("500 millis")) }))
)

const program = Effect.flatMap(Charge.execute({ orderId: "1" }), Effect.log)

const ExecutorLive = Executor.layer({
  workflows: ChargeLive,
  database: "data/retries.db",
  http: false
})

NodeRuntime.runMain(Effect.provide(program, ExecutorLive))
