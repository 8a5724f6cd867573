/** Points 1, 2, 10, 11 and 12: what becomes of runs, good and bad, one and many. */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import {
  expect,
  found,
  gate,
  journal,
  type Store,
  settled,
  statusOf,
  stepsOf,
  until,
  untilPolled,
  untilStatus,
  worlds
} from "./Harness.js"

const flow = (name: string) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

const One = flow("One")
const Two = flow("Two")

const start = One.execute({ id: "1" }, { discard: true })

const twoSteps = (log: ReturnType<typeof journal>, who: string) =>
  Effect.gen(function* () {
    yield* Activity.make({ name: "first", execute: log.note(`${who} first`) })
    yield* Activity.make({ name: "second", execute: log.note(`${who} second`) })
    return "ok"
  })

worlds("a run", (test, kind) => {
  test("does not go past a step, and nobody is told of it, before it is recorded", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const record = gate()
      const complete = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() => twoSteps(log, "a")),
        wrap: (store: Store) => ({
          ...store,
          recordStep: (step) => Effect.zipRight(record.pass, store.recordStep(step)),
          complete: (completion) => Effect.zipRight(complete.pass, store.complete(completion))
        })
      })
      const awaiting = yield* Effect.fork(a.run(One.execute({ id: "1" })))
      const runId = yield* One.executionId({ id: "1" })
      yield* record.entered
      yield* settled
      expect(log.lines).toEqual(["a first"])
      expect(yield* stepsOf(world.outside, runId)).toEqual([])
      yield* record.open
      yield* complete.entered
      yield* settled
      expect(log.lines).toEqual(["a first", "a second"])
      expect(awaiting.unsafePoll()).toBe(null)
      expect(yield* a.run(One.poll(runId))).toBeUndefined()
      yield* complete.open
      yield* untilStatus(world, runId, "completed")
      yield* until("it is told", () => awaiting.unsafePoll() !== null)
      yield* a.close
    }))

  test("does not execute a recorded step again after a crash, also a failed one", (world) =>
    Effect.gen(function* () {
      const log = journal()
      let dead = false
      const step = gate()
      const workflows = (who: string, hold: Effect.Effect<void>) =>
        One.toLayer(() =>
          Effect.gen(function* () {
            yield* Effect.ignore(
              Activity.make({
                name: "fails",
                error: Schema.String,
                execute: Effect.zipRight(log.note(`${who} fails`), Effect.fail("no"))
              })
            )
            yield* Activity.make({ name: "works", execute: log.note(`${who} works`) })
            yield* Activity.make({
              name: "is cut",
              execute: Effect.zipRight(log.note(`${who} is cut`), hold)
            })
            return "ok"
          })
        )
      const a = yield* world.start({
        workflows: workflows("a", step.pass),
        wrap: (store: Store) => ({
          ...store,
          renew: (executor, lease) =>
            Effect.suspend(() => (dead ? Effect.never : store.renew(executor, lease)))
        })
      })
      const runId = yield* a.run(start)
      yield* step.entered
      dead = true
      const b = yield* world.start({ workflows: workflows("b", Effect.void) })
      yield* TestClock.adjust("21 seconds")
      yield* untilStatus(world, runId, "completed")
      expect(log.lines).toEqual(["a fails", "a works", "a is cut", "b is cut"])
      yield* b.close
    }))

  const Strict = Workflow.make({
    name: "Strict",
    payload: {
      id: Schema.String,
      throws: Schema.transformOrFail(Schema.String, Schema.String, {
        decode: (text) => {
          if (text === "throw") throw new Error("the schema throws")
          return ParseResult.succeed(text)
        },
        encode: ParseResult.succeed
      })
    },
    success: Schema.String,
    idempotencyKey: ({ id }) => id
  })

  for (const [what, payload, message] of [
    ["is not JSON", "{not json", "does not decode"],
    ["does not fit its schema", `{"id":7}`, "does not decode"],
    ["makes its schema throw", `{"id":"1","throws":"throw"}`, "the schema throws"]
  ] as const) {
    test(`whose payload ${what} waits with a clear cause, and the others go on`, (world) =>
      Effect.gen(function* () {
        yield* world.outside.create({ runId: "bad", workflow: "Strict", payload })
        const log = journal()
        let suspensions = 0
        const a = yield* world.start({
          workflows: Layer.mergeAll(
            Strict.toLayer(() => Effect.succeed("ok")),
            One.toLayer(() => twoSteps(log, "a"))
          ),
          wrap: (store: Store) => ({
            ...store,
            suspend: (suspension) =>
              Effect.tap(store.suspend(suspension), () => Effect.sync(() => suspensions++))
          })
        })
        yield* untilStatus(world, "bad", "suspended")
        const { cause } = yield* found(world.outside, "bad")
        expect(cause).toContain(message)
        expect(cause).toContain("Strict")
        const runId = yield* a.run(start)
        yield* untilStatus(world, runId, "completed")
        expect(a.dispatcher.runs.size()).toBe(0)
        // it is left alone until somebody resumes it
        expect(suspensions).toBe(1)
        yield* world.outside.wake("bad")
        yield* untilPolled("it is tried again", () => suspensions === 2)
        expect(yield* statusOf(world.outside, "bad")).toBe("suspended")
        expect(yield* a.close).toEqual(Exit.void)
      }))
  }

  if (kind === "file") {
    test("whose row was spoiled in the database is left alone, and the others go on", (world) =>
      Effect.gen(function* () {
        const log = journal()
        const idle = yield* world.start({})
        const bad = yield* idle.run(start)
        const good = yield* idle.run(One.execute({ id: "2" }, { discard: true }))
        yield* idle.close
        yield* world.sql(
          (sql) => sql`UPDATE workflow_runs SET payload = '"x' WHERE run_id = ${bad}`
        )
        const a = yield* world.start({ workflows: One.toLayer(() => twoSteps(log, "a")) })
        yield* untilStatus(world, good, "completed")
        yield* untilStatus(world, bad, "suspended")
        yield* a.close
      }))
  }

  test("of an unknown workflow stays pending, is named once in the log, and the others go on", (world) =>
    Effect.gen(function* () {
      const log = journal()
      yield* world.outside.create({ runId: "unknown", workflow: "Nobody", payload: "{}" })
      const a = yield* world.start({ workflows: One.toLayer(() => twoSteps(log, "a")) })
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "completed")
      yield* TestClock.adjust("1 minute")
      expect(yield* statusOf(world.outside, "unknown")).toBe("pending")
      expect(world.logged("Nobody")).toHaveLength(1)
      yield* a.close
    }))

  test("whose code dies fails alone", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const a = yield* world.start({
        workflows: Layer.mergeAll(
          Two.toLayer(({ id }) => {
            if (id === "throws") throw new Error("thrown before the effect")
            return id === "step"
              ? Effect.as(
                  Activity.make({ name: "step", execute: Effect.dieMessage("in the step") }),
                  "ok"
                )
              : Effect.dieMessage("in the workflow")
          }),
          One.toLayer(() => twoSteps(log, "a"))
        )
      })
      for (const [id, message] of [
        ["throws", "thrown before the effect"],
        ["step", "in the step"],
        ["dies", "in the workflow"]
      ] as const) {
        const bad = yield* a.run(Two.execute({ id }, { discard: true }))
        yield* untilStatus(world, bad, "failed")
        expect((yield* found(world.outside, bad)).exit).toContain(message)
      }
      const runId = yield* a.run(start)
      yield* untilStatus(world, runId, "completed")
      yield* a.close
    }))

  test("waits in the store while there is no room, and while it sleeps", (world) =>
    Effect.gen(function* () {
      const step = gate()
      let most = 0
      const a = yield* world.start({
        maxConcurrentRuns: 5,
        workflows: Layer.mergeAll(
          One.toLayer(() =>
            Effect.as(
              Activity.make({
                name: "step",
                execute: Effect.zipRight(
                  Effect.sync(() => {
                    most = Math.max(most, a.dispatcher.runs.size())
                  }),
                  step.pass
                )
              }),
              "ok"
            )
          ),
          Two.toLayer(() =>
            Effect.as(DurableClock.sleep({ name: "long", duration: "1 hour" }), "ok")
          )
        )
      })
      for (let id = 0; id < 100; id++) {
        yield* a.run(Two.execute({ id: `${id}` }, { discard: true }))
      }
      yield* until("all sleep", () =>
        Effect.map(
          world.outside.list({ status: ["suspended"], limit: 100 }),
          ({ runs }) => runs.length === 100
        )
      )
      expect(a.dispatcher.runs.size()).toBe(0)
      const runIds: Array<string> = []
      for (let id = 0; id < 100; id++) {
        runIds.push(yield* a.run(One.execute({ id: `${id}` }, { discard: true })))
      }
      yield* until("there is no more room", () => step.count === 5)
      expect(a.dispatcher.runs.size()).toBe(5)
      yield* step.open
      for (const runId of runIds) yield* untilStatus(world, runId, "completed")
      expect(most).toBe(5)
      yield* a.close
    }))

  test("takes no room that a claim under way is to fill, nor that of older ones", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const claim = gate()
      const begun: Array<string> = []
      const room = 66
      const ids = Array.from({ length: 70 }, (_, id) => `${id}`)
      const idle = yield* world.start({})
      for (const id of ids) yield* idle.run(One.execute({ id }, { discard: true }))
      yield* idle.close
      const a = yield* world.start({
        maxConcurrentRuns: room,
        workflows: One.toLayer(({ id }) =>
          Effect.as(
            Activity.make({
              name: "step",
              execute: Effect.zipRight(
                Effect.sync(() => {
                  begun.push(id)
                }),
                step.pass
              )
            }),
            "ok"
          )
        ),
        wrap: (store) => ({
          ...store,
          claim: (options) => Effect.tap(store.claim(options), () => claim.pass)
        })
      })
      // it brings 64, the others would find room for 2
      yield* claim.entered
      for (const id of ["late 1", "late 2", "late 3"]) {
        const runId = yield* a.run(One.execute({ id }, { discard: true }))
        expect(yield* statusOf(world.outside, runId)).toBe("pending")
      }
      yield* claim.open
      yield* until("there is no more room", () => step.count === room)
      yield* settled
      expect(begun).toHaveLength(room)
      expect(new Set(begun)).toEqual(new Set(ids.slice(0, room)))
      yield* step.open
      yield* until("all are over", () => begun.length === 73)
      yield* a.close
    }))

  test("begins on the spot where nothing older waits", (world) =>
    Effect.gen(function* () {
      const step = gate()
      const a = yield* world.start({
        workflows: One.toLayer(() =>
          Effect.as(Activity.make({ name: "step", execute: step.pass }), "ok")
        )
      })
      yield* settled
      for (const id of ["1", "2", "3"]) {
        const runId = yield* a.run(One.execute({ id }, { discard: true }))
        expect(yield* statusOf(world.outside, runId)).toBe("running")
      }
      yield* step.open
      yield* a.close
    }))

  test("leaves nothing in memory when it is over", (world) =>
    Effect.gen(function* () {
      const a = yield* world.start({
        workflows: Layer.mergeAll(
          One.toLayer(({ id }) =>
            Effect.gen(function* () {
              yield* Activity.make({ name: "step", execute: Effect.void })
              const own = DurableDeferred.make(`own ${id}`, { success: Schema.String })
              yield* DurableDeferred.succeed(own, {
                token: yield* DurableDeferred.token(own),
                value: "x"
              })
              yield* DurableDeferred.await(own)
              return id.endsWith("0") ? yield* Two.execute({ id }) : "ok"
            })
          ),
          Two.toLayer(() => Effect.succeed("ok"))
        )
      })
      const ids = Array.from({ length: 1000 }, (_, id) => `${id}`)
      yield* Effect.forEach(ids, (id) => a.run(One.execute({ id })), { concurrency: 200 })
      yield* settled
      expect(a.dispatcher.runs.size()).toBe(0)
      expect(a.dispatcher.runs.childrenAwaited()).toEqual([])
      expect(yield* a.dispatcher.inFlight).toEqual([])
      expect(a.dispatcher.room.runs()).toBe(1000)
      // the dispatcher knows the deferreds that were used last, and not all that ever were
      for (let id = 1000; id < 1500; id++) {
        a.dispatcher.registry.noteDeferred("One", DurableDeferred.make(`own ${id}`))
      }
      expect(a.dispatcher.deferred("One", "own 1499")._tag).toBe("Some")
      expect(a.dispatcher.deferred("One", "own 0")._tag).toBe("None")
      yield* a.close
    }))
})
