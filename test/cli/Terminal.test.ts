/** The command in a real terminal: a pty of `script`, from util-linux. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const hasScript = (() => {
  try {
    return execFileSync("script", ["--version"], { encoding: "utf8" }).includes("util-linux")
  } catch {
    return false
  }
})()

/** A person at a terminal: sees what is on it, and types. */
class Terminal {
  screen = ""
  private readonly process: ChildProcess
  private readonly waiting = new Set<() => void>()
  private code: number | null | undefined

  constructor(words: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
    const command = words.map((word) => `'${word}'`).join(" ")
    // a shell in between would take the signal too
    this.process = spawn("script", ["-qefc", `exec ${command}`, "/dev/null"], {
      cwd: root,
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        TERM: "xterm",
        SHELL: "/bin/sh",
        ...env
      }
    })
    this.process.stdout?.on("data", (chunk: Buffer) => {
      this.screen += chunk.toString()
      for (const look of [...this.waiting]) look()
    })
    this.process.once("close", (code) => {
      this.code = code
      for (const look of [...this.waiting]) look()
    })
  }

  private until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      const again = () => {
        const found = look()
        if (found !== undefined) {
          this.waiting.delete(again)
          resume(Effect.succeed(found))
        } else if (this.code !== undefined) {
          resume(Effect.die(new Error(`over too early (${this.code}):\n${this.screen}`)))
        }
      }
      this.waiting.add(again)
      again()
    })
  }

  shows(pattern: RegExp): Effect.Effect<RegExpExecArray> {
    return this.until(() => pattern.exec(this.screen) ?? undefined)
  }

  get exited(): Effect.Effect<number | null> {
    return this.until(() => this.code)
  }

  type(keys: string): Effect.Effect<void> {
    return Effect.sync(() => void this.process.stdin?.write(keys))
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => void this.process.kill("SIGKILL"))
  }
}

const openCommand = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => new Terminal(words, env)),
    (terminal) => terminal.close
  )

const open = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  openCommand([process.execPath, Process.bin, ...args], env)

const ctrlC = "\u0003"

describe.runIf(hasScript)("in a terminal", () => {
  it.scopedLive(
    "Ctrl-C ends a watch at once, and a start when the steps in flight are over",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const env = { ...fixture.env, AUTH_SECRET: Process.secret, PORT: "0" }
        const executor = yield* open(["start", Process.fixture("work.ts")], env)
        const [, url = ""] = yield* executor.shows(/(http:\/\/127\.0\.0\.1:\d+)/)

        const watch = yield* open(
          ["runs", "start", "Held", '{"id":"1"}', "--watch", "--url", url],
          env
        )
        const [, runId = ""] = yield* watch.shows(/^([0-9a-f]{32})\r?$/m)
        yield* watch.shows(/step held running/)
        yield* watch.type(ctrlC)
        expect(yield* watch.exited).toBe(130)
        expect(watch.screen).not.toMatch(/^\s+at /m)

        yield* fixture.began(runId, "held")
        yield* executor.type(ctrlC)
        yield* executor.shows(
          new RegExp(`draining: 1 step left, the longest held of Held ${runId}, for .+ until the`)
        )
        yield* fixture.open("1")
        expect(yield* executor.exited).toBe(0)
        expect(executor.screen).toContain("drain over")
      }),
    60_000
  )

  const module = Process.fixture("work.ts")
  for (const { code, name, words } of [
    { name: "npm start", words: ["npm", "start", "--", module], code: 0 },
    {
      name: "npx",
      words: ["npm", "exec", "--call", `${process.execPath} ${Process.bin} start ${module}`],
      // its own: it waits for the drain, and then ends by the signal that it has had
      code: 130
    }
  ]) {
    it.scopedLive(
      `Ctrl-C lets a start under ${name} drain, however often it arrives within a second`,
      () =>
        Effect.gen(function* () {
          const fixture = yield* Fixture.make
          const env = { ...fixture.env, AUTH_SECRET: Process.secret, PORT: "0" }
          const executor = yield* openCommand(words, env)
          const [, url = ""] = yield* executor.shows(/(http:\/\/127\.0\.0\.1:\d+)/)
          const start = yield* open(["runs", "start", "Held", '{"id":"1"}', "--url", url], env)
          const [, runId = ""] = yield* start.shows(/^([0-9a-f]{32})\r?$/m)
          yield* fixture.began(runId, "held")

          // each of them comes twice, from the terminal and from npm
          yield* executor.type(ctrlC)
          yield* executor.shows(
            /another signal, a second from now or later, ends the process at once/
          )
          yield* executor.type(ctrlC)
          yield* executor.type(ctrlC)
          yield* executor.shows(/draining: 1 step left/)
          yield* fixture.open("1")
          expect(yield* executor.exited).toBe(code)
          expect(executor.screen).toContain("drain over")
        }),
      60_000
    )
  }

  it.scopedLive("help is coloured, but with NO_COLOR", () =>
    Effect.gen(function* () {
      const coloured = yield* open(["--help"], {})
      expect(yield* coloured.exited).toBe(0)
      expect(coloured.screen).toContain("\u001b[")
      const plain = yield* open(["--help"], { NO_COLOR: "1" })
      expect(yield* plain.exited).toBe(0)
      expect(plain.screen).toContain("COMMANDS")
      expect(plain.screen).not.toContain("\u001b[")
    })
  )
})
