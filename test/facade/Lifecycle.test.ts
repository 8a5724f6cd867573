import { mkdirSync, rmdirSync } from "node:fs"
import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { afterEach, describe, expect, it, vi } from "vitest"
import * as PromiseExecutor from "../../src/facade/PromiseExecutor.js"
import * as Authorization from "../../src/http/Authorization.js"
import { file, gate, inMemory, Order, onFile, orders, rejection } from "./support.js"

describe("starting", () => {
  it("does nothing before start, and executes runs after it", async () => {
    const executor = onFile()
    expect(executor.state).toBe("idle")
    expect(await rejection(executor.execute(Order, { id: "1" }))).toMatchObject({
      _tag: "ExecutorNotStarted"
    })
    const started = executor.start()
    expect(executor.state).toBe("idle")
    await started
    expect(executor.state).toBe("running")
    expect(await executor.execute(Order, { id: "1" })).toMatchObject({ id: "1" })
  })

  it("is shared by calls while it starts, and nothing happens while running", async () => {
    const executor = onFile()
    const first = executor.start()
    expect(executor.start()).toBe(first)
    await first
    await executor.start()
    expect(executor.state).toBe("running")
  })

  it("rejects after a stop", async () => {
    const executor = onFile()
    await executor.start()
    const stopped = executor.stop()
    expect(await rejection(executor.start())).toBeInstanceOf(PromiseExecutor.ExecutorStopped)
    await stopped
    const error = await rejection(executor.start())
    expect(error).toBeInstanceOf(PromiseExecutor.ExecutorStopped)
    expect(error).toMatchObject({ _tag: "ExecutorStopped", message: expect.stringMatching(/new/) })
    expect(executor.state).toBe("stopped")
  })

  it("that fails leaves it idle, and may be tried again", async () => {
    const database = file()
    // a folder where the file should be
    mkdirSync(database)
    const executor = onFile({ database })
    const error = await rejection(executor.start())
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ _tag: "RunStoreError", reason: "unavailable" })
    expect(executor.state).toBe("idle")

    rmdirSync(database)
    await executor.start()
    expect(await executor.execute(Order, { id: "1" })).toMatchObject({ id: "1" })
  })

  it("that fails late releases everything that was open", async () => {
    const events: Array<string> = []
    let failure: Error | undefined = new Error("the mailer does not answer")
    const resource = Layer.scopedDiscard(
      Effect.acquireRelease(
        Effect.sync(() => events.push("open")),
        () => Effect.sync(() => events.push("released"))
      )
    )
    const mailer = Layer.effectDiscard(
      Effect.suspend(() => (failure ? Effect.fail(failure) : Effect.void))
    )
    const port = await freePort()
    const executor = onFile({
      workflows: Layer.merge(orders(), Layer.provideMerge(mailer, resource)),
      http: { port, authSecret: Redacted.make("0123456789abcdef0123456789abcdef") }
    })
    const error = await rejection(executor.start())
    // not tagged, so it is wrapped
    expect(error).toMatchObject({ _tag: "StartFailed", cause: failure })
    expect(String(error)).toContain("the mailer does not answer")
    expect(events).toEqual(["open", "released"])
    expect(executor.state).toBe("idle")
    expect(executor.address).toBeUndefined()
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()

    failure = undefined
    await executor.start()
    expect(executor.address).toBe(`http://127.0.0.1:${port}`)
    expect((await fetch(`${executor.address}/health`)).status).toBe(200)
    await executor.stop()
    expect(events).toEqual(["open", "released", "open", "released"])
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()
  })

  it("is refused where two workflows have one name", async () => {
    const executor = inMemory({ workflows: [orders(), orders()] })
    expect(await rejection(executor.start())).toMatchObject({
      _tag: "WorkflowAlreadyRegistered",
      message: expect.stringContaining("is registered twice in one executor")
    })
    expect(executor.state).toBe("idle")
  })

  it("is given up by a stop", async () => {
    let released = false
    const opening = gate()
    const slow = Layer.scopedDiscard(
      Effect.zipRight(
        Effect.addFinalizer(() =>
          Effect.sync(() => {
            released = true
          })
        ),
        Effect.async<void>(() => opening.enter())
      )
    )
    const executor = onFile({ workflows: Layer.merge(orders(), slow) })
    const started = rejection(executor.start())
    await opening.entered
    const stopped = executor.stop()
    expect(executor.state).toBe("idle")
    expect(await stopped).toMatchObject({ stepsInFlight: 0 })
    expect(await started).toMatchObject({ _tag: "ExecutorStopped" })
    expect(released).toBe(true)
    expect(executor.state).toBe("stopped")
  })

  it("takes over what was left in the file", async () => {
    const database = file()
    const work = gate()
    const first = onFile({ database, workflows: orders({ "1": work }), stopTimeout: 0 })
    await first.start()
    const runId = await first.startRun(Order, { id: "1" })
    await work.entered
    await first.stop()

    const second = onFile({ database })
    await second.start()
    expect(await second.result(Order, runId)).toMatchObject({ id: "1" })
  })
})

describe("stopping", () => {
  it("is safe when idle, and for good", async () => {
    const executor = onFile()
    const stopped = executor.stop()
    expect(executor.state).toBe("stopped")
    expect(executor.stop()).toBe(stopped)
    expect(await stopped).toEqual({
      durationMillis: 0,
      stepsInFlight: 0,
      stepsCut: 0,
      handedOver: 0
    })
    expect(await rejection(executor.start())).toMatchObject({ _tag: "ExecutorStopped" })
  })

  it("shows that it drains, and is shared by all calls, until the steps are recorded", async () => {
    const work = gate()
    const executor = onFile({ workflows: orders({ "1": work }) })
    await executor.start()
    const runId = await executor.startRun(Order, { id: "1" })
    await work.entered

    const stopped = executor.stop()
    expect(executor.state).toBe("draining")
    expect(executor.stop()).toBe(stopped)
    // runs can be looked at all the while
    expect(await executor.poll(Order, runId)).toEqual({ status: "running" })
    expect(executor.state).toBe("draining")

    work.open()
    expect(await stopped).toMatchObject({ stepsInFlight: 1, stepsCut: 0 })
    expect(executor.state).toBe("stopped")
    expect(executor.stop()).toBe(stopped)
  })

  it("cuts what is in flight at the stop timeout", async () => {
    const work = gate()
    const executor = onFile({ workflows: orders({ "1": work }), stopTimeout: "20 millis" })
    await executor.start()
    await executor.startRun(Order, { id: "1" })
    await work.entered
    expect(await executor.stop()).toMatchObject({ stepsInFlight: 1, stepsCut: 1, handedOver: 1 })
  })

  it("that goes wrong says so, and has stopped nevertheless", async () => {
    const broken = Layer.scopedDiscard(
      Effect.addFinalizer(() => Effect.die(new Error("the pool does not close")))
    )
    const executor = onFile({ workflows: Layer.merge(orders(), broken) })
    await executor.start()
    const stopped = executor.stop()
    const error = await rejection(stopped)
    expect(error).toBeInstanceOf(PromiseExecutor.StopFailed)
    expect(error).toMatchObject({ message: expect.stringMatching(/the pool does not close/) })
    expect(executor.state).toBe("stopped")
    expect(executor.stop()).toBe(stopped)
  })

  it("tells whoever waits that the run goes on in the next process", async () => {
    const database = file()
    const executor = onFile({ database })
    await executor.start()
    const payload = { id: "1", ends: "when approved" } as const
    const executed = rejection(executor.execute(Order, payload))
    const runId = await executor.startRun(Order, payload)
    const waited = rejection(executor.result(Order, runId))
    await executor.stop()
    for (const error of [await executed, await waited]) {
      expect(error).toBeInstanceOf(PromiseExecutor.RunNotOver)
      expect(error).toMatchObject({
        _tag: "RunNotOver",
        runId,
        message: expect.stringMatching(/goes on in the next process/)
      })
    }
    const next = onFile({ database })
    await next.start()
    await expect.poll(() => next.poll(Order, runId)).toEqual({ status: "suspended" })
  })

  it("tells whoever waits for a run in memory that it is gone", async () => {
    const executor = inMemory()
    await executor.start()
    const executed = rejection(executor.execute(Order, { id: "1", ends: "when approved" }))
    await executor.stop()
    expect(await executed).toMatchObject({
      _tag: "RunNotOver",
      goesOn: false,
      message: expect.stringMatching(/is gone/)
    })
  })

  it("gives whoever waits the result of a run that ends in the drain", async () => {
    const work = gate()
    const executor = onFile({ workflows: orders({ "1": work }) })
    await executor.start()
    const executed = executor.execute(Order, { id: "1" })
    await work.entered
    const stopped = executor.stop()
    work.open()
    expect(await executed).toMatchObject({ id: "1" })
    await stopped
  })

  it("keeps runs that are started in the drain for the next process", async () => {
    const database = file()
    const work = gate()
    const executor = onFile({ database, workflows: orders({ "1": work }) })
    await executor.start()
    await executor.startRun(Order, { id: "1" })
    await work.entered
    const stopped = executor.stop()
    const runId = await executor.startRun(Order, { id: "2" })
    const executed = rejection(executor.execute(Order, { id: "3" }))
    work.open()
    await stopped
    expect(await executed).toMatchObject({ _tag: "RunNotOver" })

    const next = onFile({ database })
    await next.start()
    expect(await next.result(Order, runId)).toMatchObject({ id: "2" })
  })

  it("makes every call reject from then on", async () => {
    const executor = onFile()
    await executor.start()
    const runId = await executor.startRun(Order, { id: "1" })
    await executor.stop()
    const calls = [
      executor.execute(Order, { id: "1" }),
      executor.startRun(Order, { id: "1" }),
      executor.result(Order, runId),
      executor.poll(Order, runId),
      executor.interrupt(runId),
      executor.resume(runId)
    ]
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toBeInstanceOf(PromiseExecutor.ExecutorStopped)
    }
  })
})

describe("a request to drain", () => {
  const authSecret = Redacted.make("0123456789abcdef0123456789abcdef")

  const drain = async (executor: PromiseExecutor.PromiseExecutor) => {
    const token = await Effect.runPromise(
      Effect.flatMap(Authorization.makeTokens(authSecret), (tokens) => tokens.sign())
    )
    const response = await fetch(`${executor.address}/drain`, {
      method: "POST",
      headers: { authorization: `Bearer ${Redacted.value(token)}` }
    })
    return [response.status, await response.json()]
  }

  afterEach(() => {
    process.exitCode = undefined
  })

  it("stops it, and is shared with calls of stop", async () => {
    const work = gate()
    const executor = onFile({ http: { port: 0, authSecret }, workflows: orders({ "1": work }) })
    await executor.start()
    await executor.startRun(Order, { id: "1" })
    await work.entered
    expect(await drain(executor)).toEqual([202, { state: "draining" }])
    expect(executor.state).toBe("draining")
    expect(await drain(executor)).toEqual([202, { state: "draining" }])
    work.open()
    expect(await executor.stop()).toMatchObject({ stepsInFlight: 1, stepsCut: 0 })
    expect(executor.state).toBe("stopped")
    expect(process.exitCode).toBeUndefined()
  })

  it("is answered when nothing is in flight, and sets the exit code where signals do", async () => {
    const executor = onFile({ http: { port: 0, authSecret }, handleSignals: true })
    await executor.start()
    expect(await drain(executor)).toEqual([202, { state: "draining" }])
    await executor.stop()
    await expect.poll(() => process.exitCode).toBe(0)
  })

  it("that the stop fails after is no unhandled rejection", async () => {
    const broken = Layer.scopedDiscard(
      Effect.addFinalizer(() => Effect.die(new Error("the pool does not close")))
    )
    const executor = onFile({
      http: { port: 0, authSecret },
      workflows: Layer.merge(orders(), broken)
    })
    await executor.start()
    expect(await drain(executor)).toEqual([202, { state: "draining" }])
    // a rejection that nobody handled would end this test run
    expect(await rejection(executor.stop())).toMatchObject({ _tag: "StopFailed" })
  })
})

describe("signal handlers", () => {
  const listeners = () =>
    ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"].map((signal) => process.listenerCount(signal))
  const others = listeners()
  const ours = others.map((count) => count + 1)

  afterEach(() => {
    vi.restoreAllMocks()
    process.exitCode = undefined
  })

  it("are not registered unless asked for", async () => {
    const executor = onFile()
    await executor.start()
    expect(listeners()).toEqual(others)
  })

  it("are registered at the start and removed at the stop", async () => {
    const executor = onFile({ handleSignals: true })
    expect(listeners()).toEqual(others)
    await executor.start()
    expect(listeners()).toEqual(ours)
    await executor.stop()
    expect(listeners()).toEqual(others)
    expect(process.exitCode).toBeUndefined()
  })

  it("are there during a drain that the app began, so that a signal does not cut it", async () => {
    const work = gate()
    const executor = onFile({ handleSignals: true, workflows: orders({ "1": work }) })
    await executor.start()
    await executor.startRun(Order, { id: "1" })
    await work.entered
    const stopped = executor.stop()
    expect(listeners()).toEqual(ours)
    process.emit("SIGTERM", "SIGTERM")
    work.open()
    expect(await stopped).toMatchObject({ stepsCut: 0 })
    await expect.poll(() => process.exitCode).toBe(0)
    await expect.poll(listeners, { timeout: 10_000 }).toEqual(others)
  })

  it("stay for a second after a signal, though the executor has stopped before", async () => {
    const executor = onFile({ handleSignals: true })
    await executor.start()
    process.emit("SIGTERM", "SIGTERM")
    await executor.stop()
    expect(listeners()).toEqual(ours)
    await expect.poll(listeners, { timeout: 10_000 }).toEqual(others)
  })

  it("are removed when the start fails", async () => {
    const database = file()
    mkdirSync(database)
    const executor = onFile({ database, handleSignals: true })
    await rejection(executor.start())
    expect(listeners()).toEqual(others)
  })
})

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0))
    })
  })
