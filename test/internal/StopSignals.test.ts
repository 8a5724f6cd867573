import { spawn } from "node:child_process"
import { expect, it, onTestFinished, vi } from "vitest"
import * as StopSignals from "../../src/internal/StopSignals.js"

const module = new URL("../../dist/internal/StopSignals.js", import.meta.url)

/** Says that it has been told, then lets nothing else happen for longer than a second. */
const script = `
  import { listen } from ${JSON.stringify(module.href)}
  setTimeout(() => process.exit(7), 60_000)
  listen((signal) => {
    console.log(signal)
    const until = performance.now() + 1_500
    while (performance.now() < until);
    setTimeout(() => process.exit(0), 100)
  })
  process.kill(process.pid, "SIGTERM")
`

it("takes what came within a second for the first signal, though it is told of it later", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  child.stdout.once("data", () => child.kill("SIGINT"))
  const ended = await new Promise((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal }))
  )
  expect(ended).toEqual({ code: 0, signal: null })
})

it("leaves a second signal to what it does by default, from a second on", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate"] })
  onTestFinished(() => void vi.useRealTimers())
  const listeners = () => StopSignals.names.map((name) => process.listenerCount(name))
  const before = listeners()
  const stop = vi.fn()
  const unlisten = StopSignals.listen(stop)
  process.emit("SIGINT", "SIGINT")
  process.emit("SIGINT", "SIGINT")
  process.emit("SIGTERM", "SIGTERM")
  unlisten()
  vi.advanceTimersByTime(999)
  expect(listeners()).toEqual(before.map((count) => count + 1))
  vi.advanceTimersByTime(1)
  vi.runAllTimers()
  expect(listeners()).toEqual(before)
  expect(stop.mock.calls).toEqual([["SIGINT"]])
})

it("stops listening when there was no signal", () => {
  const listeners = () => StopSignals.names.map((name) => process.listenerCount(name))
  const before = listeners()
  StopSignals.listen(() => {})()
  expect(listeners()).toEqual(before)
})
