/**
 * An order as an async function, in an app without Effect.
 *
 * Stop it with Ctrl-C anywhere and start it again: it goes on where it was, and charges nothing
 * twice.
 */
import { setTimeout as delay } from "node:timers/promises"
import { defineWorkflow, PromiseExecutor } from "effect-workflow-executor"

const ship = defineWorkflow("ship", {}, async (ctx, { orderId }: { orderId: string }) => {
  await ctx.sleep("2 seconds")
  return await ctx.step("parcel", () => `parcel of ${orderId}`)
})

const order = defineWorkflow("order", {}, async (ctx, { orderId }: { orderId: string }) => {
  const receipt = await ctx.step(
    "charge",
    async ({ attempt, idempotencyKey, signal }) => {
      console.log(`charge, attempt ${attempt}`)
      await delay(1_000, undefined, { signal })
      if (attempt < 3) throw new Error("the bank does not answer")
      return `receipt ${idempotencyKey.slice(0, 8)}`
    },
    { retries: 5, backoff: "500 millis", timeout: "10 seconds" }
  )
  const { by } = await ctx.signal<{ by: string }>("approval")
  const parcel = await ctx.child(ship, { orderId })
  return { receipt, by, parcel }
})

const executor = PromiseExecutor.sqlite({
  database: "data/async.db",
  workflows: [order, ship],
  handleSignals: true
})
await executor.start()

const follow = async () => {
  const runId = await executor.startRun(order, { orderId: "1" })
  for await (const { status, steps } of executor.watch(runId)) {
    const last = steps.at(-1)
    console.log(status, last === undefined ? "" : `${last.name}/${last.attempt} ${last.status}`)
    // somebody approves what is charged
    if (status === "suspended" && last?.status === "completed") {
      await executor.signal("approval", { runId }, { by: "Ada" })
    }
  }
  console.log(await executor.result(order, runId))
}

try {
  await follow()
} catch (error) {
  // Ctrl-C: the next process goes on with the run
  if (!(error instanceof PromiseExecutor.RunNotOver)) throw error
  console.log(error.message)
} finally {
  await executor.stop()
}
