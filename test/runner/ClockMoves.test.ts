/**
 * The clock of the machine is set, an hour forward or back, while executors on a file work. Sleeps
 * go on as they would, as they do on a machine: hence no TestClock, but a clock whose time of day a
 * test moves. Whatever waits here waits for milliseconds.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Executor from "../../src/Executor.js"
import { Runs } from "../../src/runner/Runs.js"
import { gate, journal, settled, until, type Workflows } from "./Harness.js"

const hour = 3_600_000

/** A clock that can be set. */
const settable = () => {
  const clock = Clock.make()
  let offset = 0
  const now = () => clock.unsafeCurrentTimeMillis() + offset
  const moved: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: now,
    currentTimeMillis: Effect.sync(now),
    // what a process measures with is not the time of day
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    currentTimeNanos: clock.currentTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
  return {
    clock: moved,
    move: (millis: number) =>
      Effect.sync(() => {
        offset += millis
      })
  }
}

const filename = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "clock-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "executor.db")
)

/** A third of this passes between two renewals. */
const leaseMillis = 2_000

const start = Effect.fnUntraced(function* (options: {
  readonly database: string
  readonly workflows: Workflows
  readonly clock: Clock.Clock
  readonly leaseMillis?: number
  /** Their layer is above the Runner: they are released first. */
  readonly above?: Workflows
}) {
  const logs: Array<string> = []
  const scope = yield* Scope.make()
  const executor = Executor.layer({
    database: options.database,
    workflows: options.workflows,
    http: false,
    leaseDuration: options.leaseMillis ?? leaseMillis,
    stopTimeout: "2 seconds"
  })
  const context = yield* (options.above ?? Layer.empty).pipe(
    Layer.provideMerge(executor),
    Layer.provide(
      Layer.mergeAll(
        Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ message }) => void logs.push(String(message)))
        ),
        Logger.minimumLogLevel(LogLevel.Debug)
      )
    ),
    Layer.build,
    Scope.extend(scope),
    Effect.withClock(options.clock),
    Effect.orDie
  )
  const close = yield* Effect.once(Effect.withClock(Scope.close(scope, Exit.void), options.clock))
  yield* Effect.addFinalizer(() => close)
  const runs = Context.get(context, Runs)
  return {
    runs,
    logs,
    close,
    clock: options.clock,
    run: (workflow: string, id: string) =>
      Effect.map(Effect.orDie(runs.start({ workflow, payload: { id } })), ({ runId }) => runId)
  }
})

type Started = Effect.Effect.Success<ReturnType<typeof start>>

const statusOf = ({ runs }: Started, runId: string) =>
  Effect.map(Effect.orDie(runs.get(runId)), ({ status }) => status)

const whenStatus = (executor: Started, runId: string, status: string) =>
  Effect.orDie(
    until(`${runId} is ${status}`, () =>
      Effect.map(statusOf(executor, runId), (found) => found === status)
    )
  )

const leaseOf = ({ clock, runs }: Started) =>
  Effect.map(Effect.orDie(Effect.withClock(runs.executors, clock)), (executors) => {
    const found = executors.find(({ self }) => self)
    return Date.parse(found?.leaseUntil ?? "")
  })

/** Until its lease has been renewed by the clock as it is now, and nothing is due until the next time. */
const renewed = (executor: Started) =>
  Effect.gen(function* () {
    const before = yield* leaseOf(executor)
    yield* Effect.orDie(
      until("the lease is renewed", () =>
        Effect.map(leaseOf(executor), (leaseUntil) => {
          const left = leaseUntil - executor.clock.unsafeCurrentTimeMillis()
          return leaseUntil !== before && left > 0 && left <= leaseMillis
        })
      )
    )
    yield* settled
  })

const One = Workflow.make({
  name: "One",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

const Two = Workflow.make({
  name: "Two",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

describe("a clock that is set while an executor works", () => {
  for (const [name, moves] of [
    ["an hour forward", [hour]],
    ["an hour back", [-hour]],
    ["forward, back and forward again", [hour, -2 * hour, 2 * hour]]
  ] as const) {
    it.scopedLive(`${name} costs it no run and no step`, () =>
      Effect.gen(function* () {
        const log = journal()
        const held = gate()
        const time = settable()
        const executor = yield* start({
          database: yield* filename,
          clock: time.clock,
          workflows: One.toLayer(() =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "first", execute: log.note("first") }).pipe(
                One.withCompensation(() => log.note("undone"))
              )
              yield* Activity.make({
                name: "held",
                execute: Effect.zipRight(log.note("held"), held.pass)
              })
              yield* Activity.make({ name: "last", execute: log.note("last") })
            })
          )
        })
        const runId = yield* executor.run("One", "1")
        yield* held.entered
        yield* renewed(executor)
        for (const millis of moves) {
          yield* time.move(millis)
          yield* renewed(executor)
          expect(yield* statusOf(executor, runId)).toBe("running")
        }
        const executors = Effect.withClock(executor.runs.executors, time.clock)
        expect(yield* Effect.orDie(executors)).toMatchObject([{ alive: true, self: true, runs: 1 }])
        yield* held.open
        yield* whenStatus(executor, runId, "completed")
        expect(log.lines).toEqual(["first", "held", "last"])
        expect(executor.logs.join()).not.toMatch(/lost|took over/)
      })
    )
  }

  it.scopedLive(
    "leaves what waits waiting: a signal comes through, and new runs are executed",
    () =>
      Effect.gen(function* () {
        const Go = DurableDeferred.make("Go")
        const time = settable()
        const executor = yield* start({
          database: yield* filename,
          clock: time.clock,
          workflows: One.toLayer(({ id }) =>
            id === "waits" ? DurableDeferred.await(Go) : Effect.void
          )
        })
        const waits = yield* executor.run("One", "waits")
        yield* whenStatus(executor, waits, "suspended")
        for (const [n, millis] of [hour, -3 * hour, hour].entries()) {
          yield* time.move(millis)
          const runId = yield* executor.run("One", `${n}`)
          yield* whenStatus(executor, runId, "completed")
          expect(yield* statusOf(executor, waits)).toBe("suspended")
        }
        yield* Effect.orDie(executor.runs.signal({ runId: waits, name: "Go" }))
        yield* whenStatus(executor, waits, "completed")
      })
  )

  it.scopedLive("wakes a sleep when its time has come by the clock, and not before", () =>
    Effect.gen(function* () {
      const time = settable()
      const executor = yield* start({
        database: yield* filename,
        clock: time.clock,
        workflows: One.toLayer(() => DurableClock.sleep({ name: "sleep", duration: "30 minutes" }))
      })
      const runId = yield* executor.run("One", "1")
      yield* whenStatus(executor, runId, "suspended")
      yield* renewed(executor)
      for (const millis of [-hour, hour]) {
        yield* time.move(millis)
        yield* renewed(executor)
      }
      expect(yield* statusOf(executor, runId)).toBe("suspended")
      // nothing tells of it; the next renewal of the lease finds it
      yield* time.move(hour)
      yield* whenStatus(executor, runId, "completed")
    })
  )

  it.scopedLive("in the middle of a drain neither ends it early nor makes it longer", () =>
    Effect.gen(function* () {
      for (const millis of [hour, -hour]) {
        const log = journal()
        const held = gate()
        const time = settable()
        const executor = yield* start({
          database: yield* filename,
          clock: time.clock,
          workflows: One.toLayer(() =>
            Activity.make({
              name: "held",
              execute: Effect.zipRight(
                held.pass,
                Effect.onInterrupt(Effect.never, () => log.note("cut"))
              )
            })
          )
        })
        yield* executor.run("One", "1")
        yield* held.entered
        yield* held.open
        const before = performance.now()
        const closing = yield* Effect.fork(executor.close)
        yield* Effect.orDie(
          until("the drain has begun", () => executor.logs.some((line) => line === "drain begun"))
        )
        yield* renewed(executor)
        yield* time.move(millis)
        yield* Fiber.join(closing)
        const took = performance.now() - before
        expect(log.lines).toEqual(["cut"])
        // the stop timeout is 2 seconds; an hour more would outlast this test
        expect(took).toBeGreaterThan(1_900)
      }
    })
  )

  it.scopedLive("between two releases of one drain leaves them their one deadline", () =>
    Effect.gen(function* () {
      const log = journal()
      const time = settable()
      const [above, below] = [gate(), gate()]
      const untilCut = (name: string, entered: typeof above, whenCut: Effect.Effect<void>) =>
        Activity.make({
          name,
          execute: Effect.zipRight(
            entered.pass,
            Effect.onInterrupt(Effect.never, () => Effect.zipRight(log.note(name), whenCut))
          )
        })
      const executor = yield* start({
        database: yield* filename,
        clock: time.clock,
        above: Two.toLayer(() => untilCut("above", above, time.move(-hour))),
        workflows: One.toLayer(() => untilCut("below", below, Effect.void))
      })
      yield* executor.run("One", "1")
      yield* executor.run("Two", "1")
      for (const { entered, open } of [above, below]) yield* Effect.zipRight(entered, open)
      // an hour more for the second release would outlast this test
      yield* executor.close
      expect(log.lines).toEqual(["above", "below"])
    })
  )

  it.scopedLive(
    "does not lose a run to two executors on one file, nor a record of a step",
    () =>
      Effect.gen(function* () {
        const time = settable()
        const database = yield* filename
        const latest = new Map<string, number>()
        const undone: Array<string> = []
        let executions = 0
        const workflows = One.toLayer(({ id }) =>
          Effect.gen(function* () {
            for (const name of ["1", "2", "3", "4"]) {
              yield* Activity.make({
                name,
                success: Schema.Int,
                execute: Effect.gen(function* () {
                  const execution = ++executions
                  latest.set(`${id}/${name}`, execution)
                  yield* Effect.sleep("50 millis")
                  return execution
                })
              }).pipe(One.withCompensation(() => Effect.sync(() => void undone.push(id))))
            }
          })
        )
        const options = { database, clock: time.clock, workflows, leaseMillis: 1_000 }
        const [a, b] = [yield* start(options), yield* start(options)]
        const ids = Array.from({ length: 60 }, (_, id) => `${id}`)
        const runIds = yield* Effect.forEach(ids, (id) => [a, b][Number(id) % 2]!.run("One", id), {
          concurrency: 10
        })
        for (const millis of [hour, -hour, hour, hour, -3 * hour, hour]) {
          yield* time.move(millis)
          // whatever is under way then: nothing below depends on how much that is
          yield* Effect.sleep("60 millis")
        }
        for (const [index, runId] of runIds.entries()) {
          yield* whenStatus(a, runId, "completed")
          const { steps } = yield* Effect.orDie(a.runs.get(runId))
          // whatever was recorded came last: nobody has executed the step after that
          for (const step of steps) expect(step.result).toBe(latest.get(`${index}/${step.name}`))
          // they are listed by the time at which they started
          expect(steps.map(({ name }) => name).sort()).toEqual(["1", "2", "3", "4"])
        }
        expect(undone).toEqual([])
        console.info(
          `${executions - ids.length * 4} of ${ids.length * 4} steps were executed twice: the lease had lapsed, by the clock, in the middle of them`
        )
      }),
    60_000
  )
})
