/**
 * A real process on what was built (`npm run build`), and real signals. Steps take real time here:
 * there is no other in a process of its own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { execPath } from "node:process"
import { fileURLToPath } from "node:url"
import { afterEach, expect, it } from "vitest"
import { file } from "./support.js"

const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const children: Array<ChildProcess> = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
})

const app = (database: string, stepMillis: number, release = "works") =>
  process(fixture("app.js"), [database, String(stepMillis), release])

const process = (script: string, args: ReadonlyArray<string>) => {
  const child = spawn(execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  let output = ""
  const looks = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      for (const look of looks) look()
    })
  }
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal }))
  )
  const said = (text: string) =>
    Promise.race([
      new Promise<void>((resolve) => {
        const look = () => {
          if (!output.includes(text)) return
          looks.delete(look)
          resolve()
        }
        looks.add(look)
        look()
      }),
      exit.then(() => {
        if (!output.includes(text)) throw new Error(`ended without "${text}":\n${output}`)
      })
    ])
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), said, exit, output: () => output }
}

it("drains on SIGTERM, ends with exit code 0, and the next process goes on", async () => {
  const database = file()
  const first = app(database, 400)
  await first.said("step begun")
  first.kill("SIGTERM")
  expect(await first.exit).toEqual({ code: 0, signal: null })
  expect(first.output()).toContain("step over")
  expect(first.output()).toContain("rejected with RunNotOver")
  expect(first.output()).not.toMatch(/^second$/m)

  const next = app(database, 400)
  await next.said("gave 1")
  // the recorded step did not execute again
  expect(next.output()).not.toContain("step begun")
  expect(next.output()).toMatch(/^second$/m)
  next.kill("SIGINT")
  expect(await next.exit).toEqual({ code: 0, signal: null })
})

it("ends at once on a second signal, a second later or more", async () => {
  const child = app(file(), 600_000)
  await child.said("step begun")
  const since = performance.now()
  child.kill("SIGTERM")
  await child.said("another signal, a second from now or later, ends the process at once")
  const again = setInterval(() => child.kill("SIGTERM"), 20)
  expect(await child.exit).toEqual({ code: null, signal: "SIGTERM" })
  clearInterval(again)
  expect(performance.now() - since).toBeGreaterThan(1_000)
})

it("takes further signals within a second for the first one", async () => {
  const child = app(file(), 400)
  await child.said("step begun")
  for (const signal of stopSignals) child.kill(signal)
  await child.said("drain begun")
  for (const signal of stopSignals) child.kill(signal)
  expect(await child.exit).toEqual({ code: 0, signal: null })
  expect(child.output()).toContain("step over")
})

for (const signal of ["SIGHUP", "SIGQUIT"] as const) {
  it(`drains on ${signal} too`, async () => {
    const child = app(file(), 400)
    await child.said("step begun")
    child.kill(signal)
    expect(await child.exit).toEqual({ code: 0, signal: null })
    expect(child.output()).toContain("step over")
  })
}

it("ends with exit code 1 when something could not be released", async () => {
  const child = app(file(), 0, "fails")
  await child.said("gave 1")
  child.kill("SIGTERM")
  expect(await child.exit).toEqual({ code: 1, signal: null })
  expect(child.output()).toContain("the pool does not close")
})

for (const [what, how, given] of [
  ["records what a step returns that has learned of the drain", "early", "early"],
  ["executes a step again that has given up because of the drain", "again", "at once"]
] as const) {
  it(`${what}, at a SIGTERM`, async () => {
    const database = file()
    const first = process(fixture("drains.js"), [database, how])
    await first.said("step begun")
    first.kill("SIGTERM")
    expect(await first.exit).toEqual({ code: 0, signal: null })
    expect(first.output()).toContain("told, and not cut")
    expect(first.output()).not.toContain("the workflow saw")

    const next = process(fixture("drains.js"), [database, "at once"])
    await next.said(`gave ${given}`)
    expect(next.output().includes("step begun")).toBe(how === "again")
    next.kill("SIGTERM")
    expect(await next.exit).toEqual({ code: 0, signal: null })
  })
}
