/** What an executor keeps of what is over, in memory and in its tables: nothing for ever. */
import { DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { expect, settled, untilStatus, worlds } from "./Harness.js"

const id = { id: Schema.String }
const Gate = DurableDeferred.make("Gate")
const Child = Workflow.make({
  name: "Child",
  payload: id,
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})
const Parent = Workflow.make({ name: "Parent", payload: id, idempotencyKey: ({ id }) => id })

const workflows = Layer.mergeAll(
  Child.toLayer(({ id }) => Effect.succeed(`result of ${id}`)),
  Parent.toLayer(() =>
    Effect.zipRight(
      Effect.forEach(["1", "2", "3"], (id) => Child.execute({ id })),
      DurableDeferred.await(Gate)
    )
  )
)

worlds("what is kept", (test, kind) => {
  test("of children that are over is not asked for again when another process writes", (world) =>
    Effect.gen(function* () {
      if (kind === "memory") return
      const questions: Array<ReadonlyArray<string>> = []
      const one = yield* world.start({
        workflows,
        wrap: (store) => ({
          ...store,
          finished: (runIds, options) => {
            questions.push(runIds)
            return store.finished(runIds, options)
          }
        })
      })
      // of the second all children are over when it comes to them
      for (const id of ["1", "2"]) {
        const runId = yield* one.run(Parent.execute({ id }, { discard: true }))
        yield* untilStatus(world, runId, "suspended")
      }
      yield* settled
      questions.length = 0
      yield* world.outside.signal({ runId: "nobody", name: "x", exit: `{"_tag":"Success"}` })
      yield* TestClock.adjust("1 second")
      yield* settled
      expect(questions).toEqual([])
    }))
})
