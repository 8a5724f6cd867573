/** An executor whose store is gone: the file was taken away. */
import { Activity } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Shutdown from "../../src/runner/Shutdown.js"
import { RunStoreError } from "../../src/store/RunStore.js"
import { expect, gate, journal, One, type Store, settled, start, until, worlds } from "./Harness.js"

const gone = new RunStoreError({ reason: "gone", message: "the file is not there any more" })

/** A store that can be taken away: then everything fails, as it is found at a renewal. */
const removable = () => {
  let isGone = false
  const guarded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | RunStoreError, R> => (isGone ? gone : effect))
  return {
    remove: Effect.sync(() => {
      isGone = true
    }),
    wrap: (store: Store): Store => ({
      ...store,
      create: (...run) => guarded(store.create(...run)),
      claim: (options) => guarded(store.claim(options)),
      recordStep: (step) => guarded(store.recordStep(step)),
      suspend: (suspension) => guarded(store.suspend(suspension)),
      release: (runs) => guarded(store.release(runs)),
      releaseAll: (...which) => guarded(store.releaseAll(...which)),
      renew: (...lease) => guarded(store.renew(...lease)),
      find: (runId) => guarded(store.find(runId))
    })
  }
}

worlds("a store that is gone", (test) => {
  /** Two steps; the first is held, and undone if it is to be. */
  const workflow = (log: ReturnType<typeof journal>, hold: Effect.Effect<void>) =>
    One.toLayer(() =>
      Effect.gen(function* () {
        yield* Activity.make({
          name: "held",
          execute: Effect.zipRight(log.note("began"), hold)
        }).pipe(One.withCompensation(() => log.note("compensated")))
        yield* Activity.make({ name: "after", execute: log.note("after") })
        return "done"
      })
    )

  test("stops an executor that nobody else stops: nothing starts, and what is in flight ends", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const held = gate()
      const store = removable()
      const stack = yield* world.start({ workflows: workflow(log, held.pass), wrap: store.wrap })
      yield* stack.run(start)
      yield* held.entered
      yield* store.remove
      yield* TestClock.adjust("5 seconds")
      yield* until("it drains", () => Effect.map(stack.state, (state) => state === "draining"))
      const refused = yield* Effect.flip(
        stack.dispatcher.start({ runId: "more", workflow: "One", payload: "{}" })
      )
      expect(refused).toMatchObject({ _tag: "RunStoreError", reason: "gone" })
      // it is let end, for what it does to others does not depend on us
      yield* held.open
      yield* until("it has stopped", () => Effect.map(stack.state, (state) => state === "stopped"))
      expect(log.lines).toEqual(["began"])
      const lines = world.logs.filter(({ message }) => message.includes("the database is gone"))
      expect(lines.map(({ level }) => level)).toEqual(["ERROR"])
      // whoever closes it is told that this was no good stop
      expect((yield* stack.close)._tag).toBe("Failure")
    }))

  test("asks whoever can stop the executor to do so, once, and leaves the drain to that", (world) =>
    Effect.gen(function* () {
      const log = journal()
      const store = removable()
      const stack = yield* world.start({
        workflows: workflow(log, Effect.void),
        wrap: store.wrap,
        compose: ({ base, engine, runner, workflows }) =>
          runner.pipe(
            Layer.provide(Shutdown.layer(log.note("asked"))),
            Layer.provideMerge(Layer.provideMerge(workflows, engine)),
            Layer.provideMerge(base)
          )
      })
      yield* store.remove
      yield* TestClock.adjust("1 minute")
      yield* settled
      expect(log.lines).toEqual(["asked"])
      expect(yield* stack.state).toBe("running")
      yield* stack.close
    }))
})
