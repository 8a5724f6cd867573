import { DurableDeferred } from "@effect/workflow"
import { describe, expect, expectTypeOf, it } from "vitest"
import * as PromiseExecutor from "../../src/facade/PromiseExecutor.js"
import {
  Approval,
  date,
  gate,
  inMemory,
  Order,
  OutOfStock,
  onFile,
  orders,
  rejection,
  Tick,
  Unheard
} from "./support.js"

const started = async (executor: PromiseExecutor.PromiseExecutor) => {
  await executor.start()
  return executor
}

describe.each([
  ["on a file", onFile],
  ["in memory", inMemory]
] as const)("a run %s", (_, make) => {
  it("gives its value, decoded by the workflow's schema", async () => {
    const executor = await started(make())
    const value = await executor.execute(Order, { id: "1" })
    expectTypeOf(value).toEqualTypeOf<{ readonly id: string; readonly at: Date }>()
    expect(value).toEqual({ id: "1", at: date })
    const runId = await executor.startRun(Order, { id: "1" })
    expect(await executor.result(Order, runId)).toEqual({ id: "1", at: date })
    expect(await executor.poll(Order, runId)).toEqual({
      status: "completed",
      value: { id: "1", at: date }
    })
  })

  it("rejects with the workflow's own error, an instance of its class", async () => {
    const executor = await started(make())
    const error = await rejection(executor.execute(Order, { id: "1", ends: "out of stock" }))
    expect(error).toBeInstanceOf(OutOfStock)
    expect(error).toMatchObject({ _tag: "OutOfStock", since: date, message: "none left" })
    const runId = await executor.startRun(Order, { id: "1", ends: "out of stock" })
    const polled = await executor.poll(Order, runId)
    expect(polled).toMatchObject({ status: "failed", error })
  })

  it("rejects with an Error also where the workflow fails with plain data", async () => {
    const executor = await started(make())
    const error = await rejection(executor.execute(Order, { id: "1", ends: "in plain words" }))
    expect(error).toBeInstanceOf(PromiseExecutor.RunFailed)
    expect(error).toMatchObject({
      error: "sold out",
      message: expect.stringMatching(/^Run \w+ failed: sold out$/)
    })
  })

  it("that fails unexpectedly rejects as died, with the reason", async () => {
    const executor = await started(make())
    const error = await rejection(executor.execute(Order, { id: "1", ends: "unexpectedly" }))
    expect(error).toBeInstanceOf(PromiseExecutor.RunDied)
    expect(error).toMatchObject({
      message: expect.stringMatching(/failed unexpectedly: not a function$/),
      cause: { name: "TypeError", message: "not a function" }
    })
  })

  it("can be interrupted, and rejects as interrupted", async () => {
    const executor = await started(make())
    const runId = await executor.startRun(Order, { id: "1", ends: "when approved" })
    await expect.poll(() => executor.poll(Order, runId)).toEqual({ status: "suspended" })
    await executor.resume(runId)
    const result = rejection(executor.result(Order, runId))
    await executor.interrupt(runId)
    expect(await result).toBeInstanceOf(PromiseExecutor.RunInterrupted)
    expect(await executor.poll(Order, runId)).toMatchObject({
      status: "interrupted",
      error: { _tag: "RunInterrupted", runId }
    })
  })

  it("can be terminated, and rejects as interrupted; then it is over", async () => {
    const executor = await started(make())
    const runId = await executor.startRun(Order, { id: "1", ends: "when approved" })
    const result = rejection(executor.result(Order, runId))
    expect(await executor.terminate(runId, { reason: "a test" })).toEqual({ terminated: 1 })
    expect(await result).toBeInstanceOf(PromiseExecutor.RunInterrupted)
    expect(await rejection(executor.terminate(runId))).toMatchObject({ _tag: "RunFinished" })
  })

  it("takes a signal, by its id or by a token", async () => {
    const executor = await started(make())
    const byId = await executor.startRun(Order, { id: "1", ends: "when approved" })
    await executor.signal(Approval, { runId: byId }, date)
    expect(await executor.result(Order, byId)).toEqual({ id: "1", at: date })

    const byToken = await executor.startRun(Order, { id: "2", ends: "when approved" })
    const token = DurableDeferred.tokenFromExecutionId(Approval, {
      workflow: Order,
      executionId: byToken
    })
    await executor.signal(Approval, { token }, date)
    expect(await executor.result(Order, byToken)).toEqual({ id: "2", at: date })
  })

  it("of a workflow that takes and gives nothing needs no payload", async () => {
    const executor = await started(make())
    expectTypeOf(await executor.execute(Tick)).toEqualTypeOf<void>()
    const runId = await executor.startRun(Tick)
    expect(await executor.poll(Tick, runId)).toMatchObject({ status: "completed" })
  })

  it("is the same for the same idempotency key", async () => {
    const executor = await started(make())
    const runId = await executor.startRun(Order, { id: "1" })
    expect(await executor.startRun(Order, { id: "1" })).toBe(runId)
  })

  it("is left alone by who stops waiting for it", async () => {
    const work = gate()
    const executor = await started(make({ workflows: orders({ "1": work }) }))
    const runId = await executor.startRun(Order, { id: "1" })
    const controller = new AbortController()
    const waited = rejection(executor.result(Order, runId, { signal: controller.signal }))
    const reason = new Error("the request was closed")
    controller.abort(reason)
    expect(await waited).toBe(reason)
    work.open()
    expect(await executor.result(Order, runId)).toMatchObject({ id: "1" })
  })
})

describe("what cannot be done", () => {
  it("is rejected before anything is stored where the payload is wrong", async () => {
    const executor = await started(onFile())
    // @ts-expect-error the payload is typed
    const error = await rejection(executor.execute(Order, { id: 1 }))
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ _tag: "InvalidPayload", workflow: "Order" })
  })

  it("is rejected where nobody here executes the workflow", async () => {
    const executor = await started(onFile())
    expect(await rejection(executor.execute(Unheard))).toMatchObject({
      _tag: "UnknownWorkflow",
      message: expect.stringMatching(/Order, Tick/)
    })
  })

  it("is rejected where there is no such run, or none of this workflow", async () => {
    const executor = await started(onFile())
    const runId = await executor.startRun(Order, { id: "1" })
    const calls = [
      executor.result(Order, "none"),
      executor.poll(Order, "none"),
      executor.interrupt("none"),
      executor.terminate("none"),
      executor.resume("none"),
      executor.signal(Approval, { runId: "none" }, date),
      executor.result(Tick, runId)
    ]
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toMatchObject({ _tag: "RunNotFound" })
    }
  })

  it("is rejected where the value of a signal is wrong, or its token is none", async () => {
    const executor = await started(onFile())
    const runId = await executor.startRun(Order, { id: "1" })
    const calls = [
      // @ts-expect-error the value is typed
      executor.signal(Approval, { runId }, "yes"),
      executor.signal(Approval, { token: "no token" }, date)
    ]
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({ _tag: "InvalidSignal", name: "Approval" })
    }
  })
})
