/**
 * The module of the campaign's executors: workflows with every feature, whose steps say in a file of
 * their process when they begin and end.
 *
 * `CAMPAIGN_JOURNAL`: the folder of these files
 * `CAMPAIGN_QUEUE`: the file in which the queue is, unless it is in `DATABASE_URL`
 */
import { openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { Activity, DurableClock, DurableDeferred, DurableQueue, Workflow } from "@effect/workflow"
import { Duration, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { QueueWorker, Signals, SqlitePersistedQueue, Step } from "effect-workflow-executor"
import { PostgresPersistedQueue } from "effect-workflow-executor/postgres"

const folder = process.env.CAMPAIGN_JOURNAL ?? "/nonexistent"
const journal = openSync(join(folder, `${process.pid}.jsonl`), "a")

let executions = 0

/** In one write, which no other process comes between; and on a clock that all processes share. */
const say = (event: "began" | "ended" | "compensated", runId: string, step: string, id: string) =>
  Effect.sync(() => {
    const at = Number(process.hrtime.bigint() / 1_000n)
    writeSync(journal, `${JSON.stringify({ event, runId, step, execution: id, at })}\n`)
  })

/** What a step is recorded with: which execution of it that was. */
class Refused extends Schema.TaggedError<Refused>()("Refused", { execution: Schema.String }) {}

/** A step of some milliseconds; one that is to fail does so at its end. */
const step = (
  name: string,
  runId: string,
  options: { readonly millis?: number; readonly failsUntil?: number } = {}
) =>
  Activity.make({
    name,
    success: Schema.String,
    error: Refused,
    execute: Effect.gen(function* () {
      const attempt = yield* Activity.CurrentAttempt
      const execution = `${process.pid}-${++executions}`
      const key = `${name}/${attempt}`
      yield* say("began", runId, key, execution)
      yield* Effect.sleep(options.millis ?? 5)
      yield* say("ended", runId, key, execution)
      if (attempt <= (options.failsUntil ?? 0)) return yield* new Refused({ execution })
      return execution
    })
  })

const Payload = { id: Schema.String, steps: Schema.Int }

const define = <Name extends string>(name: Name) =>
  Workflow.make({
    name,
    payload: Payload,
    success: Schema.String,
    error: Refused,
    idempotencyKey: ({ id }) => id
  })

/** Steps one after the other, each with a compensation. */
const Chain = define("Chain")

const ChainLive = Chain.toLayer(
  Effect.fnUntraced(function* ({ id, steps }, runId) {
    for (let n = 1; n <= steps; n++) {
      yield* step(`step-${n}`, runId).pipe(
        Chain.withCompensation(() => say("compensated", runId, `step-${n}`, ""))
      )
    }
    return id
  })
)

/** The same, and then a failure: the only one whose compensations are to be executed. */
const Undone = define("Undone")

const UndoneLive = Undone.toLayer(
  Effect.fnUntraced(function* ({ id, steps }, runId) {
    for (let n = 1; n < steps; n++) {
      yield* step(`step-${n}`, runId).pipe(
        Undone.withCompensation(() => say("compensated", runId, `step-${n}`, ""))
      )
    }
    yield* step("fails", runId, { failsUntil: 1 })
    return id
  })
)

/** Branches at the same time. */
const Fan = define("Fan")

const FanLive = Fan.toLayer(
  Effect.fnUntraced(function* ({ id, steps }, runId) {
    const branch = (n: number) =>
      step(`branch-${n}`, runId, { millis: 5 + (n % 7) }).pipe(
        Fan.withCompensation(() => say("compensated", runId, `branch-${n}`, ""))
      )
    yield* Effect.forEach(
      Array.from({ length: steps }, (_, n) => n),
      branch,
      { concurrency: 5 }
    )
    return id
  })
)

/** Attempts that fail at first, with waits that are timers, and without. */
const Retried = define("Retried")

const RetriedLive = Retried.toLayer(
  Effect.fnUntraced(function* ({ id }, runId) {
    yield* step("at-once", runId, { failsUntil: 2 }).pipe(Activity.retry({ times: 3 }))
    yield* step("later", runId, { failsUntil: 2 }).pipe(
      Step.retry({ times: 3, schedule: Schedule.exponential("200 millis") }),
      Retried.withCompensation(() => say("compensated", runId, "later", ""))
    )
    return id
  })
)

/** Sleeps between its steps, too short and long enough to be suspended. */
const Sleeping = define("Sleeping")

const SleepingLive = Sleeping.toLayer(
  Effect.fnUntraced(function* ({ id }, runId) {
    for (const [n, millis] of [50, 700, 1_500].entries()) {
      yield* step(`before-${n}`, runId)
      yield* DurableClock.sleep({ name: `sleep-${n}`, duration: Duration.millis(millis) })
    }
    yield* step("after", runId)
    return id
  })
)

/** Waits for two signals, and for one that its own step sends. */
const First = DurableDeferred.make("First", { success: Schema.String })
const Second = DurableDeferred.make("Second", { success: Schema.String })
const Own = DurableDeferred.make("Own", { success: Schema.String })

const Signalled = define("Signalled").annotate(Signals, [First, Second, Own])

const SignalledLive = Signalled.toLayer(
  Effect.fnUntraced(function* ({ id }, runId) {
    yield* step("before", runId)
    const first = yield* DurableDeferred.await(First)
    yield* step("between", runId)
    const token = yield* DurableDeferred.token(Own)
    yield* DurableDeferred.succeed(Own, { token, value: "own" })
    const own = yield* DurableDeferred.await(Own)
    const second = yield* DurableDeferred.await(Second)
    yield* step("after", runId).pipe(
      Signalled.withCompensation(() => say("compensated", runId, "after", ""))
    )
    return [id, first, own, second].join(" ")
  })
)

/** Three children, of which it waits for all. */
const Parent = define("Parent")

const ParentLive = Parent.toLayer(
  Effect.fnUntraced(function* ({ id, steps }, runId) {
    yield* step("before", runId)
    const children = yield* Effect.forEach(
      ["a", "b", "c"],
      (child) => Chain.execute({ id: `${id}/${child}`, steps: Math.max(1, Math.floor(steps / 3)) }),
      { concurrency: 3 }
    )
    yield* step("after", runId).pipe(
      Parent.withCompensation(() => say("compensated", runId, "after", ""))
    )
    return children.join(" ")
  })
)

/** An element of a queue, for which any executor's worker may come. */
const Elements = DurableQueue.make({
  name: "elements",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Queued = define("Queued")

const QueuedLive = Queued.toLayer(
  Effect.fnUntraced(function* ({ id }, runId) {
    yield* step("before", runId)
    const processed = yield* DurableQueue.process(Elements, { id })
    yield* step("after", runId).pipe(
      Queued.withCompensation(() => say("compensated", runId, "after", ""))
    )
    return processed
  })
)

const ElementsLive = QueueWorker.layer(
  Elements,
  ({ id }) => Effect.as(Effect.sleep(20), `${id} processed`),
  { concurrency: 3 }
)

/** As quick as the executors' own leases. */
const quick = { holdDuration: "1 second", pollInterval: "100 millis" } as const

/** Over the database of the executors. */
const { CAMPAIGN_QUEUE, DATABASE_SCHEMA, DATABASE_URL } = process.env
const Queues =
  DATABASE_URL === undefined
    ? SqlitePersistedQueue.layerFile({ filename: CAMPAIGN_QUEUE ?? "/nonexistent", ...quick })
    : PostgresPersistedQueue.layerUrl({
        url: Redacted.make(DATABASE_URL),
        schema: DATABASE_SCHEMA,
        ...quick
      })

const QueueLive = Layer.merge(QueuedLive, ElementsLive).pipe(Layer.provide(Queues))

export default Layer.mergeAll(
  ChainLive,
  UndoneLive,
  FanLive,
  RetriedLive,
  SleepingLive,
  SignalledLive,
  ParentLive,
  QueueLive
)
