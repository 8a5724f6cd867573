/** Branches of one run: none is cut because another waits, and none waits in vain. */
import { PersistedQueue } from "@effect/experimental"
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, DurableQueue } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  type Env,
  everywhere,
  exitOf,
  Gate,
  layerMemory,
  noted,
  open,
  register,
  step,
  textWorkflow,
  turns,
  untilSuspended,
  untilTrue
} from "./support.js"

const Text = Schema.String

/** What is neither a step nor a wait of the engine, and takes more than one turn. */
const plainCode: Readonly<Record<string, Effect.Effect<unknown, never, Env>>> = {
  yieldNow: Effect.repeatN(Effect.yieldNow(), 10),
  "turns of the event loop": turns(10),
  "a promise": Effect.promise(async () => {
    for (let i = 0; i < 10; i++) await null
  }),
  "a hash of another thread": Activity.idempotencyKey("key"),
  "a semaphore": Effect.flatMap(Effect.makeSemaphore(1), (semaphore) =>
    semaphore.withPermits(1)(turns(3))
  ),
  "a fiber that is joined": Effect.flatMap(Effect.fork(turns(3)), Fiber.join)
}

describe("branches of one run", () => {
  it.effect("one that waits for a signal which another gives goes on", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const Done = DurableDeferred.make("done", { success: Schema.String })
      const waits = Effect.flatMap(DurableDeferred.await(Done), (value) =>
        step("after", Effect.succeed(`after ${value}`))
      )
      const first = Effect.orDie(step("first", Effect.as(turns(3), "first")))
      const gives = DurableDeferred.into(first, Done)
      yield* register(
        W.toLayer(() =>
          Effect.map(Effect.all([waits, gives], { concurrency: "unbounded" }), ([text]) => text)
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("after first"))
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  it.effect("one that asks for a step which another has given up executes it itself", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      let executions = 0
      const shared = step(
        "shared",
        Effect.suspend(() => (++executions === 1 ? Effect.never : Effect.succeed("shared")))
      )
      // the race asks for it first, and loses interest in it
      const race = Effect.raceFirst(shared, Effect.as(turns(20), "elsewhere"))
      const joins = Effect.zipRight(turns(5), shared)
      yield* register(
        W.toLayer(() =>
          Effect.map(Effect.all([race, joins], { concurrency: "unbounded" }), (all) =>
            all.join(" and ")
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("elsewhere and shared"))
      assert.strictEqual(executions, 2)
    }).pipe(Effect.scoped, Effect.provide(layerMemory()))
  )

  everywhere("are all begun before any of them is over: children", ({ keepsRuns }) =>
    Effect.gen(function* () {
      const Parent = textWorkflow("Parent")
      const Child = textWorkflow("Child")
      const log: Array<string> = []
      let passes = 0
      yield* register(
        Child.toLayer(({ id }) =>
          Effect.zipRight(noted(log, `begins ${id}`), DurableDeferred.await(Gate))
        ),
        Parent.toLayer(() =>
          Effect.suspend(() => {
            passes++
            const children = ["1", "2", "3"].map((id) => Child.execute({ id }))
            return Effect.map(Effect.all(children, { concurrency: "unbounded" }), (all) =>
              all.join()
            )
          })
        )
      )
      const runId = yield* Parent.execute({ id: "p" }, { discard: true })
      yield* untilTrue("all children begin", () => log.length === 3)
      for (const id of ["3", "2", "1"]) {
        const child = yield* Child.executionId({ id })
        yield* untilSuspended(Child, child)
        yield* open(Child, child, id)
      }
      assert.deepStrictEqual(yield* exitOf(Parent, runId), Exit.succeed("1,2,3"))
      assert.deepStrictEqual([...log].sort(), ["begins 1", "begins 2", "begins 3"])
      if (keepsRuns) assert.strictEqual(passes, 1)
    })
  )

  everywhere("may wait for what another sends: two children", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow("Parent")
      const Waits = textWorkflow("Waits")
      const Sends = textWorkflow("Sends")
      yield* register(
        Waits.toLayer(() => DurableDeferred.await(Gate)),
        Sends.toLayer(() =>
          Effect.gen(function* () {
            yield* open(Waits, yield* Waits.executionId({ id: "1" }), "sent")
            return "sender"
          })
        ),
        Parent.toLayer(() =>
          Effect.map(
            Effect.all([Waits.execute({ id: "1" }), Sends.execute({ id: "1" })], {
              concurrency: "unbounded"
            }),
            (all) => all.join()
          )
        )
      )
      const runId = yield* Parent.execute({ id: "p" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(Parent, runId), Exit.succeed("sent,sender"))
    })
  )

  for (const [what, plain] of Object.entries(plainCode)) {
    everywhere(`go on beside one that waits: ${what}`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        yield* register(
          W.toLayer((_, runId) =>
            Effect.map(
              Effect.all(
                [
                  DurableDeferred.await(Gate),
                  plain.pipe(
                    Effect.zipRight(noted(log, "step")),
                    Effect.zipRight(Effect.suspend(() => open(W, runId, "given")))
                  )
                ],
                { concurrency: "unbounded" }
              ),
              ([value]) => value
            )
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("given"))
        assert.deepStrictEqual(log, ["step"])
      })
    )
  }

  for (const [what, beside] of Object.entries({
    "Effect.never": Effect.never,
    "a long plain sleep": Effect.as(Effect.sleep("1000 days"), "too late"),
    "another signal": DurableDeferred.await(DurableDeferred.make("never", { success: Text }))
  })) {
    everywhere(`race(await, ${what}) is won by the signal`, () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        let waits = false
        yield* register(
          W.toLayer(() => {
            waits = true
            return Effect.race(DurableDeferred.await(Gate), beside)
          })
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("it waits", () => waits)
        yield* turns()
        yield* open(W, runId, "won")
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("won"))
      })
    )
  }

  everywhere("each make their offer to a queue", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const Queue = DurableQueue.make({
        name: "Queue",
        payload: { text: Schema.String },
        success: Schema.String,
        error: Schema.String,
        idempotencyKey: ({ text }) => text
      })
      const queue = yield* Layer.build(
        PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory))
      )
      yield* register(
        W.toLayer(() =>
          Effect.map(
            Effect.forEach(["a", "b", "c"], (text) => DurableQueue.process(Queue, { text }), {
              concurrency: "unbounded"
            }),
            (all) => all.join()
          )
        ).pipe(Layer.provide(Layer.succeedContext(queue)))
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      // a worker comes only now: what it finds is what was offered before any of them was answered
      const worked: Array<string> = []
      yield* register(
        DurableQueue.worker(Queue, ({ text }) =>
          Effect.sync(() => {
            worked.push(text)
            return text.toUpperCase()
          })
        ).pipe(Layer.provide(Layer.succeedContext(queue)))
      )
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("A,B,C"))
      assert.deepStrictEqual(worked.sort(), ["a", "b", "c"])
    })
  )
})
