/** What is claimed may be over before it is read: what waits behind it is claimed all the same. */
import { Activity, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { terminatedExit } from "../../src/values/Codec.js"
import { expect, settled, worlds } from "./Harness.js"

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
})

worlds("runs that are pending", (test) => {
  test("are all claimed, also where one is terminated in the transaction that claims it", (world) =>
    Effect.gen(function* () {
      for (let n = 0; n < 100; n++) {
        yield* world.outside.create({ runId: `run ${n}`, workflow: "W", payload: `{"id":"${n}"}` })
      }
      let first = true
      const stack = yield* world.start({
        workflows: W.toLayer(() => Activity.make({ name: "work", execute: Effect.void })),
        wrap: (store) => ({
          ...store,
          claim: (options) =>
            Effect.suspend(() => {
              if (!first) return store.claim(options)
              first = false
              // somebody terminates one of them at the same moment
              return Effect.map(
                Effect.all(
                  [
                    store.claim(options),
                    store.terminate({
                      runId: "run 5",
                      exit: terminatedExit(undefined),
                      children: false
                    })
                  ],
                  { concurrency: "unbounded" }
                ),
                ([claimed]) => claimed
              )
            })
        })
      })
      yield* settled
      yield* settled
      yield* TestClock.adjust("2 minutes")
      yield* settled
      yield* settled
      const { completed, interrupted, pending } = yield* stack.store.counts
      expect({ completed, interrupted, pending }).toEqual({
        completed: 99,
        interrupted: 1,
        pending: 0
      })
    }))
})
