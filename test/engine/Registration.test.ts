/** A workflow is registered once, and its runs have what the layers around its registration give. */
import { assert, describe } from "@effect/vitest"
import * as DurableDeferred from "@effect/workflow/DurableDeferred"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { WorkflowAlreadyRegistered } from "../../src/engine/held/Dispatcher.js"
import { recorder } from "../telemetry/recorder.js"
import {
  everywhere,
  exitOf,
  Gate,
  memoryTest,
  open,
  register,
  step,
  textWorkflow,
  untilSuspended
} from "./support.js"

describe("a workflow", () => {
  memoryTest("is refused by name where it is registered already, until that is released", () =>
    Effect.gen(function* () {
      const Order = textWorkflow("Order")
      const first = yield* Scope.make()
      yield* Layer.buildWithScope(
        Order.toLayer(() => Effect.succeed("first")),
        first
      )
      const second = Order.toLayer(() => Effect.succeed("second"))
      const refused = yield* Effect.exit(Effect.scoped(Layer.build(second)))
      assert.isTrue(Exit.isFailure(refused))
      if (Exit.isFailure(refused)) {
        const error = Cause.squash(refused.cause)
        assert.instanceOf(error, WorkflowAlreadyRegistered)
        assert.include(String(error), 'workflow "Order" is registered twice')
      }
      // whoever was first goes on
      const one = yield* Order.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(Order, one), Exit.succeed("first"))

      yield* Scope.close(first, Exit.void)
      yield* register(second)
      const two = yield* Order.execute({ id: "2" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(Order, two), Exit.succeed("second"))
    })
  )

  everywhere("has the config, the loggers and the tracer of the layers around it", () =>
    Effect.gen(function* () {
      const Order = textWorkflow()
      const lines: Array<string> = []
      const { named, tracer } = recorder()
      const where = Config.string("WHERE")
      const live = Order.toLayer(() =>
        Effect.gen(function* () {
          const inStep = yield* step(
            "step",
            Effect.zipRight(Effect.log("in the step"), Effect.orDie(where))
          ).pipe(Effect.withSpan("of the step"))
          yield* DurableDeferred.await(Gate)
          yield* Effect.log("in the workflow")
          return `${inStep}, ${yield* Effect.orDie(where)}`
        })
      ).pipe(
        Layer.provide([
          Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["WHERE", "here"]]))),
          Layer.setTracer(tracer),
          Logger.add(Logger.make(({ message }) => void lines.push(String(message))))
        ])
      )
      // what a layer sets holds in the fiber that builds it, for all that comes after it
      const Other = textWorkflow()
      yield* register(
        Other.toLayer(() =>
          Effect.zipRight(
            Effect.log("in another"),
            Effect.orElseSucceed(where, () => "nowhere")
          )
        )
      )
      yield* register(live)
      const runId = yield* Order.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(Order, runId)
      yield* open(Order, runId)
      assert.deepStrictEqual(yield* exitOf(Order, runId), Exit.succeed("here, here"))
      assert.includeMembers(lines, ["in the step", "in the workflow"])
      assert.isAtLeast(named("workflow.run").length, 1)
      assert.isAtLeast(named("of the step").length, 1)
      // those of another workflow do not see them
      const other = yield* Other.execute({ id: "1" }, { discard: true })
      assert.deepStrictEqual(yield* exitOf(Other, other), Exit.succeed("nowhere"))
      assert.notInclude(lines, "in another")
    })
  )
})
