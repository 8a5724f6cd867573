/** What `WorkflowProxy` makes of workflows, on this engine. */
import { RpcTest } from "@effect/rpc"
import { assert, describe } from "@effect/vitest"
import { DurableDeferred, Workflow, WorkflowProxy, WorkflowProxyServer } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Gate, memoryTest, open, register, untilSuspended } from "./support.js"

describe("a proxy of workflows", () => {
  memoryTest("starts runs, waits for them, and leaves them alone when its caller goes", () =>
    Effect.gen(function* () {
      const Order = Workflow.make({
        name: "Order",
        payload: { id: Schema.String },
        success: Schema.String,
        idempotencyKey: ({ id }) => id
      })
      const workflows = [Order] as const
      const group = WorkflowProxy.toRpcGroup(workflows)
      yield* register(
        Order.toLayer(({ id }) =>
          Effect.map(DurableDeferred.await(Gate), (text) => `${id} ${text}`)
        )
      )
      yield* Effect.gen(function* () {
        const client = yield* RpcTest.makeClient(group)
        const gone = yield* Effect.fork(client.Order({ id: "1" }))
        const runId = yield* Order.executionId({ id: "1" })
        yield* untilSuspended(Order, runId)
        yield* Fiber.interrupt(gone)
        yield* client.OrderDiscard({ id: "1" })
        yield* client.OrderResume({ executionId: runId })
        const waits = yield* Effect.fork(client.Order({ id: "1" }))
        yield* open(Order, runId)
        assert.strictEqual(yield* Fiber.join(waits), "1 go")
      }).pipe(Effect.provide(WorkflowProxyServer.layerRpcHandlers(workflows)))
    })
  )
})
