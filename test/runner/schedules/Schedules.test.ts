/** What becomes of ticks: overlaps, downtime, clocks that are moved, pauses, several executors. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../../src/Executor.js"
import { Runner } from "../../../src/runner/Runner.js"
import { Runs } from "../../../src/runner/Runs.js"
import * as Schedules from "../../../src/runner/Schedules.js"
import { RunStore } from "../../../src/store/RunStore.js"
import * as SqliteRunStore from "../../../src/store/sqlite/SqliteRunStore.js"
import { pass, silent, temporaryFile, turns, until } from "../../engine/support.js"

const Finish = DurableDeferred.make("Finish")

const Job = Workflow.make({
  name: "Job",
  payload: { kind: Schema.Literal("quick", "waits"), at: Schema.optional(Schema.Date) },
  idempotencyKey: ({ kind }) => kind
})

interface Began {
  readonly schedule: string
  readonly tick: string
  readonly at: number
}

/** A job, and what began. */
const jobOf = (began: Array<Began>) =>
  Job.toLayer(({ kind }) =>
    Effect.gen(function* () {
      const { schedule, tick } = Option.getOrThrow(yield* Schedules.current)
      const at = yield* Clock.currentTimeMillis
      const known = began.some(
        (one) => one.schedule === schedule && one.tick === tick.toISOString()
      )
      // a pass after a wait is the same run
      if (!known) began.push({ schedule, tick: tick.toISOString(), at })
      if (kind === "waits") yield* DurableDeferred.await(Finish)
    })
  )

const minute = 60_000

const at = (minutes: number) => new Date(minutes * minute).toISOString()

const minutesOf = (began: ReadonlyArray<Began>) =>
  began.map(({ tick }) => Date.parse(tick) / minute)

const finish = (schedule: string, tick: string) =>
  Effect.flatMap(Runs, (runs) =>
    runs.signal({ runId: `schedule/${schedule}/${tick}`, name: "Finish", value: null })
  ).pipe(Effect.zipRight(turns()))

const executorOf = (began: Array<Began>) =>
  jobOf(began).pipe(Layer.provideMerge(Executor.layerTestCore()), Layer.provideMerge(silent))

type Services = Layer.Layer.Success<ReturnType<typeof executorOf>> | RunStore | Scope.Scope

/** A test on one executor; what began is in `began`. */
const test = (
  name: string,
  body: (began: Array<Began>) => Effect.Effect<void, unknown, Services>
) =>
  it.effect(name, () => {
    const began: Array<Began> = []
    return Effect.scoped(body(began)).pipe(
      Effect.provide(executorOf(began)),
      Effect.provide(SqliteRunStore.layerMemory)
    )
  })

const put = (name: string, request: Partial<Schedules.PutScheduleRequest> = {}) =>
  Effect.flatMap(Schedules.Schedules, (schedules) =>
    schedules.put(name, {
      workflow: "Job",
      payload: { kind: "waits" },
      ...(request.cron === undefined ? { every: "10 minutes" } : {}),
      ...request
    })
  )

const get = (name: string) => Effect.flatMap(Schedules.Schedules, ({ get }) => get(name))

describe("a tick while a run is under way", () => {
  test("is skipped, by default", (began) =>
    Effect.gen(function* () {
      yield* put("a")
      yield* pass("35 minutes")
      assert.deepStrictEqual(minutesOf(began), [10])
      const { lastSkipped, lastStarted, started } = yield* get("a")
      assert.deepStrictEqual([started, lastStarted, lastSkipped], [1, at(10), at(30)])
      yield* finish("a", at(10))
      yield* pass("5 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 40])
    }))

  test("waits until it is over, with queue, and others are skipped", (began) =>
    Effect.gen(function* () {
      yield* put("a", { overlap: "queue" })
      yield* pass("35 minutes")
      const { lastSkipped, waitingTick } = yield* get("a")
      assert.deepStrictEqual([waitingTick, lastSkipped], [at(20), at(30)])
      yield* finish("a", at(10))
      // without any time that passes
      assert.deepStrictEqual(minutesOf(began), [10, 20])
      yield* finish("a", at(20))
      yield* pass("5 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 40])
    }))

  test("is started beside it, with allow", (began) =>
    Effect.gen(function* () {
      yield* put("a", { overlap: "allow" })
      yield* pass("35 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30])
    }))

  test("interrupts it, with cancel, and is started when that is over", (began) =>
    Effect.gen(function* () {
      const runs = yield* Runs
      yield* put("a", { overlap: "cancel" })
      yield* pass("20 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20])
      yield* pass("10 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30])
      const { runs: all } = yield* runs.list()
      assert.deepStrictEqual(
        all.map(({ status }) => status),
        ["suspended", "interrupted", "interrupted"]
      )
    }))
})

describe("ticks that nobody was there for", () => {
  /** Two executors after each other, with so many minutes between, from minute 25 on. */
  const downtime = (
    name: string,
    request: Partial<Schedules.PutScheduleRequest>,
    expected: (began: Array<Began>) => Effect.Effect<void, unknown, Services>
  ) =>
    it.effect(name, () => {
      const before: Array<Began> = []
      const after: Array<Began> = []
      return Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* put("a", { payload: { kind: "quick" }, ...request })
            yield* pass("25 minutes")
          }).pipe(Effect.provide(executorOf(before)))
        )
        assert.deepStrictEqual(minutesOf(before), [10, 20])
        yield* TestClock.adjust("50 minutes")
        yield* Effect.scoped(
          Effect.zipRight(turns(), expected(after)).pipe(Effect.provide(executorOf(after)))
        )
      }).pipe(Effect.provide(SqliteRunStore.layerMemory))
    })

  downtime("the last one is started, until the next is due", {}, (began) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(minutesOf(began), [70])
      const { lastMissed, started } = yield* get("a")
      assert.deepStrictEqual([lastMissed, started], [at(60), 3])
      yield* pass("5 minutes")
      assert.deepStrictEqual(minutesOf(began), [70, 80])
    })
  )

  downtime(
    "those within the window are started in their order",
    { catchUp: "30 minutes" },
    (began) =>
      Effect.gen(function* () {
        yield* until(
          "three have begun",
          Effect.sync(() => began.length === 3)
        )
        assert.deepStrictEqual(minutesOf(began), [50, 60, 70])
        yield* pass("5 minutes")
        assert.deepStrictEqual(minutesOf(began), [50, 60, 70, 80])
        assert.strictEqual((yield* get("a")).lastMissed, at(40))
      })
  )

  downtime("of none within the window none is", { catchUp: "1 minute" }, (began) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(minutesOf(began), [])
      assert.strictEqual((yield* get("a")).lastMissed, at(70))
      yield* pass("5 minutes")
      assert.deepStrictEqual(minutesOf(began), [80])
    })
  )

  downtime(
    "are started beside each other where that is allowed, however long they take",
    { catchUp: "1 day", payload: { kind: "waits" }, overlap: "allow" },
    (began) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(minutesOf(began), [30, 40, 50, 60, 70])
      })
  )

  it.effect("one after the other, each when the one before is over", () => {
    const began: Array<Began> = []
    return Effect.gen(function* () {
      yield* Effect.scoped(put("a", { catchUp: "1 day" }).pipe(Effect.provide(executorOf([]))))
      yield* TestClock.adjust("35 minutes")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* turns()
          assert.deepStrictEqual(minutesOf(began), [10])
          assert.strictEqual((yield* get("a")).waitingTick, at(20))
          yield* pass("10 minutes")
          for (const tick of [10, 20, 30]) yield* finish("a", at(tick))
          // what became due meanwhile is not lost either
          assert.deepStrictEqual(minutesOf(began), [10, 20, 30, 40])
          assert.isUndefined((yield* get("a")).lastSkipped)
          yield* pass("10 minutes")
          // behind no more: it is on time, and skipped
          assert.strictEqual((yield* get("a")).lastSkipped, at(50))
        }).pipe(Effect.provide(executorOf(began)))
      )
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  })
})

describe("a clock", () => {
  test("that is moved back starts no tick twice", (began) =>
    Effect.gen(function* () {
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("35 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30])
      yield* TestClock.setTime(5 * minute)
      // a change has it looked at; what was decided stays so
      yield* put("a", { payload: { kind: "quick" }, jitter: "0 seconds" })
      yield* pass("29 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30])
      assert.strictEqual((yield* get("a")).started, 3)
      yield* pass("6 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30, 40])
    }))

  test("that is moved back starts none twice of a schedule that was put again", (began) =>
    Effect.gen(function* () {
      const schedules = yield* Schedules.Schedules
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("25 minutes")
      yield* TestClock.setTime(5 * minute)
      yield* schedules.remove("a")
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("30 minutes")
      // their runs are there: they have their ids
      assert.deepStrictEqual(minutesOf(began), [10, 20, 30])
    }))
})

describe("a tick that is due in a drain", () => {
  it.effect("is the next executor's", () => {
    const gate = Effect.unsafeMakeLatch(false)
    const held: Array<Began> = []
    const next: Array<Began> = []
    const Held = Workflow.make({ name: "Held", payload: {}, idempotencyKey: () => "held" })
    const HeldLive = Held.toLayer(() =>
      Effect.asVoid(Activity.make({ name: "hold", execute: gate.await }))
    )
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const runner = yield* Runner
          yield* put("a", { payload: { kind: "quick" } })
          yield* Held.execute(undefined, { discard: true })
          yield* until(
            "the step is in flight",
            Effect.map(runner.inFlight, (steps) => steps.length === 1)
          )
          const drain = yield* Effect.fork(runner.drain)
          yield* until(
            "it drains",
            Effect.map(runner.state, (state) => state === "draining")
          )
          yield* pass("12 minutes")
          // still draining, and nothing is started, not even for others
          assert.strictEqual(yield* runner.state, "draining")
          assert.deepStrictEqual((yield* get("a")).lastRuns, [])
          yield* gate.open
          yield* Fiber.join(drain)
        }).pipe(
          Effect.provide(
            Layer.merge(HeldLive, jobOf(held)).pipe(
              Layer.provideMerge(Executor.layerTestCore({ stopTimeout: "1 hour" })),
              Layer.provideMerge(silent)
            )
          )
        )
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* turns()
          assert.deepStrictEqual(minutesOf(next), [10])
        }).pipe(Effect.provide(executorOf(next)))
      )
      assert.deepStrictEqual(held, [])
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  })
})

describe("a schedule of a workflow that is not registered", () => {
  it.effect("is left alone, until somebody registers it", () => {
    const began: Array<Began> = []
    return Effect.gen(function* () {
      const store = yield* RunStore
      yield* Effect.scoped(
        put("a", { payload: { kind: "quick" } }).pipe(Effect.provide(executorOf([])))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* pass("15 minutes")
          assert.deepStrictEqual((yield* store.list({ limit: 9 })).runs, [])
          // it begins as soon as it is there
          yield* Effect.scoped(Effect.zipRight(Layer.build(jobOf(began)), turns()))
          assert.deepStrictEqual(minutesOf(began), [10])
        }).pipe(Effect.provide(Layer.provideMerge(Executor.layerTestCore(), silent)))
      )
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  })
})

describe("two executors", () => {
  it.effect("over a file start each tick once", () => {
    const began: Array<Began> = []
    return Effect.gen(function* () {
      const filename = yield* temporaryFile
      /** A store and an executor of its own. */
      const start = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const memoMap = yield* Layer.makeMemoMap
        const context = yield* Layer.buildWithMemoMap(
          Layer.fresh(
            executorOf(began).pipe(
              Layer.provideMerge(SqliteRunStore.layerFile({ filename, pollInterval: "2 minutes" }))
            )
          ),
          memoMap,
          scope
        )
        yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
        return context
      })
      const one = yield* start
      const two = yield* start
      yield* put("a", { payload: { kind: "quick" } }).pipe(Effect.provide(one))
      for (let tick = 0; tick < 30; tick++) {
        yield* pass("10 minutes")
        yield* until(
          `tick ${tick} has begun`,
          Effect.sync(() => began.length > tick)
        )
      }
      const { runs } = yield* Context.get(two, Runs).list({ limit: 200 })
      assert.strictEqual(runs.length, 30)
      assert.strictEqual((yield* get("a").pipe(Effect.provide(two))).started, 30)
      assert.deepStrictEqual(
        minutesOf(began).sort((a, b) => a - b),
        Array.from({ length: 30 }, (_, n) => 10 * (n + 1))
      )
    }).pipe(Effect.scoped)
  })
})

describe("a schedule", () => {
  test("that is paused does not tick, and leaves out what was due", (began) =>
    Effect.gen(function* () {
      const schedules = yield* Schedules.Schedules
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("15 minutes")
      assert.deepStrictEqual((yield* schedules.pause("a")).nextTicks, [])
      yield* pass("30 minutes")
      assert.deepStrictEqual(minutesOf(began), [10])
      // to put it again does not resume it
      assert.isTrue((yield* put("a", { payload: { kind: "quick" }, count: 9 })).paused)
      const resumed = yield* schedules.resume("a")
      assert.deepStrictEqual(resumed.nextTicks, [50, 60, 70, 80, 90].map(at))
      yield* pass("10 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 50])
    }))

  test("ends with its count, and with its end", (began) =>
    Effect.gen(function* () {
      yield* put("count", { payload: { kind: "quick" }, count: 2 })
      yield* put("end", { payload: { kind: "quick" }, end: at(30) })
      assert.deepStrictEqual((yield* get("count")).nextTicks, [10, 20].map(at))
      yield* pass("1 hour")
      const ticks = (name: string) => minutesOf(began.filter(({ schedule }) => schedule === name))
      assert.deepStrictEqual(ticks("count"), [10, 20])
      assert.deepStrictEqual(ticks("end"), [10, 20, 30])
      assert.deepStrictEqual((yield* get("end")).nextTicks, [])
      assert.isUndefined((yield* get("count")).nextStart)
      // it goes on from now, and not from when it was over
      const more = yield* put("count", { payload: { kind: "quick" }, count: 3, catchUp: "1 day" })
      assert.deepStrictEqual(more.nextTicks, [at(70)])
      yield* pass("20 minutes")
      assert.deepStrictEqual(ticks("count"), [10, 20, 70])
    }))

  test("starts its runs later by its jitter, each by the same whoever reckons it", (began) =>
    Effect.gen(function* () {
      yield* put("a", { payload: { kind: "quick" }, jitter: "5 minutes" })
      const { nextStart } = yield* get("a")
      yield* pass("1 hour")
      assert.strictEqual(new Date(began[0]?.at ?? 0).toISOString(), nextStart)
      const late = began.map(({ at, tick }) => at - Date.parse(tick))
      assert.strictEqual(new Set(late).size, late.length)
      assert.isTrue(late.every((millis) => millis >= 0 && millis < 5 * minute))
    }))

  test("is triggered beside its ticks, also while it is paused", (began) =>
    Effect.gen(function* () {
      const schedules = yield* Schedules.Schedules
      yield* put("a", { paused: true })
      const one = yield* schedules.trigger("a")
      const two = yield* schedules.trigger("a")
      yield* turns()
      assert.strictEqual(one.runId, `schedule/a/${at(0)}/triggered`)
      assert.notStrictEqual(one.runId, two.runId)
      assert.strictEqual(began.length, 2)
      // a run that was triggered is under way, as any other
      yield* schedules.resume("a")
      yield* pass("10 minutes")
      assert.strictEqual(began.length, 2)
      const { lastRuns, started } = yield* get("a")
      assert.strictEqual(started, 0)
      assert.deepStrictEqual(
        lastRuns.map(({ runId }) => runId),
        [two.runId, one.runId]
      )
    }))

  test("is backfilled with the ticks that have no run", (began) =>
    Effect.gen(function* () {
      const schedules = yield* Schedules.Schedules
      yield* TestClock.setTime(100 * minute)
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("10 minutes")
      assert.deepStrictEqual(minutesOf(began), [110])
      const range = { from: at(60), to: at(110) }
      assert.deepStrictEqual(yield* schedules.backfill("a", range), { ticks: 5, created: 5 })
      assert.deepStrictEqual(yield* schedules.backfill("a", range), { ticks: 5, created: 0 })
      assert.deepStrictEqual(yield* schedules.backfill("a", { from: at(105) }), {
        ticks: 0,
        created: 0
      })
      yield* turns()
      assert.deepStrictEqual(minutesOf(began), [110, 60, 70, 80, 90, 100])
      const refused = yield* Effect.flip(schedules.backfill("a", { from: at(0), to: at(200) }))
      assert.include(refused.message, "later than now")
      yield* put("a", { payload: { kind: "quick" }, every: "1 second" })
      const many = yield* Effect.flip(schedules.backfill("a", { from: at(0) }))
      assert.include(many.message, "more than 1000 ticks")
    }))

  test("goes on from where it was where its times stay, and from now where they change", (began) =>
    Effect.gen(function* () {
      yield* put("a", { payload: { kind: "quick" } })
      yield* pass("15 minutes")
      const same = yield* put("a", { payload: { kind: "waits" } })
      assert.deepStrictEqual(same.nextTicks.slice(0, 2), [20, 30].map(at))
      const other = yield* put("a", { payload: { kind: "quick" }, every: "7 minutes" })
      assert.deepStrictEqual(other.nextTicks.slice(0, 2), [21, 28].map(at))
      yield* pass("6 minutes")
      assert.deepStrictEqual(minutesOf(began), [10, 21])
    }))

  test("is refused where it cannot be, with what could", () =>
    Effect.gen(function* () {
      const refused = (request: Partial<Schedules.PutScheduleRequest>, name = "a") =>
        Effect.map(Effect.flip(put(name, request)), ({ message }) => message)
      assert.include(yield* refused({}, "no/name"), `"no/name" is not allowed`)
      assert.include(yield* refused({ every: "soon" }), `every: "soon" is not allowed`)
      assert.include(yield* refused({ every: "10 millis" }), "1 second to 3660 days")
      assert.include(yield* refused({ every: "-1 hour" }), `every: "-1 hour"`)
      assert.include(yield* refused({ cron: "61 * * * *" }), `cron: "61 * * * *"`)
      assert.include(yield* refused({ cron: "0 0 30 2 *" }), "there is no such day")
      assert.include(
        yield* refused({ cron: "0 3 * * *", timeZone: "Europe/Nowhere" }),
        `timeZone: "Europe/Nowhere" is not a time zone`
      )
      assert.include(yield* refused({ cron: "0 3 * * *", every: "1 hour" }), "has one of them")
      assert.include(yield* refused({ timeZone: "UTC" }), "an interval is the same in every zone")
      assert.include(yield* refused({ end: "tomorrow" }), `"tomorrow" is not a time`)
      assert.include(yield* refused({ payload: { kind: "other" } }), "kind")
      assert.include(yield* refused({ workflow: "None" }), "registered: Job")
    }))
})

describe("schedules in code", () => {
  const declared = (cron: string) =>
    Schedules.layer({
      nightly: { workflow: Job, payload: { kind: "quick", at: new Date(0) }, cron },
      often: {
        workflow: Job,
        payload: { kind: "quick" },
        every: Duration.minutes(10),
        paused: true
      }
    })

  const withCode = (began: Array<Began>, cron: string) =>
    Layer.provideMerge(declared(cron), executorOf(began))

  it.effect("become what is declared, and stay as they were put through the API", () =>
    Effect.gen(function* () {
      const began: Array<Began> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const nightly = yield* get("nightly")
          assert.deepStrictEqual(
            [nightly.origin, nightly.cron, nightly.payload],
            ["declared", "0 3 * * *", { kind: "quick", at: "1970-01-01T00:00:00.000Z" }]
          )
          assert.isTrue((yield* get("often")).paused)
          yield* pass("3 hours")
          assert.deepStrictEqual(minutesOf(began), [180])
          yield* Effect.flatMap(Schedules.Schedules, ({ resume }) => resume("often"))
        }).pipe(Effect.provide(withCode(began, "0 3 * * *")))
      )
      // the next version of the code
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.strictEqual((yield* get("nightly")).cron, "0 4 * * *")
          // whether it is paused is the API's to say
          assert.isFalse((yield* get("often")).paused)
          yield* put("nightly", { payload: { kind: "quick" }, cron: "0 5 * * *" })
        }).pipe(Effect.provide(withCode(began, "0 4 * * *")))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { cron, origin } = yield* get("nightly")
          assert.deepStrictEqual([origin, cron], ["set", "0 5 * * *"])
        }).pipe(Effect.provide(withCode(began, "0 6 * * *")))
      )
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  )

  it.effect("that cannot be fail the layer", () =>
    Effect.gen(function* () {
      const began: Array<Began> = []
      const failed = yield* Effect.flip(Effect.scoped(Layer.build(withCode(began, "every night"))))
      assert.include(String(failed), "every night")
    }).pipe(Effect.provide(SqliteRunStore.layerMemory))
  )
})
