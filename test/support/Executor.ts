/**
 * Executors as processes of their own: started, told signals, and read by their log. Nothing waits
 * for a while; everything waits for an event.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createConnection, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Authorization from "../../src/http/Authorization.js"

/** What was built. */
export const bin = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../process/fixtures/${name}`, import.meta.url))

export const secret = "a secret of thirty-two bytes, and more"

/** A line of the log, as its JSON says, and when it came. */
export interface LogLine {
  readonly message: string
  readonly logLevel: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause?: string
  readonly at: number
}

const LogLineSchema = Schema.parseJson(
  Schema.Struct({
    message: Schema.Union(
      Schema.String,
      Schema.transform(Schema.Array(Schema.Unknown), Schema.String, {
        strict: true,
        decode: (parts) =>
          parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" "),
        encode: (text) => [text]
      })
    ),
    logLevel: Schema.String,
    annotations: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    cause: Schema.optionalWith(Schema.String, { exact: true })
  })
)

export interface Exited {
  readonly code: number | null
  readonly signal: string | null
  /** By the clock of this process. */
  readonly at: number
}

export interface StartOptions {
  /** The module of workflows; a fixture's name, or a path. `undefined` for none. */
  readonly module?: string | undefined
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Instead of `dist/bin.js start`. */
  readonly command?: ReadonlyArray<string>
  /** In a process group of its own, for `killGroup`. */
  readonly ownGroup?: boolean
}

/** A folder that goes with the test. */
export const makeFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "workflow-executor-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** An executor's process; killed when the scope closes, if it still lives. */
export const start = (options: StartOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => new Executor(options)),
    (executor) => Effect.zipRight(executor.kill("SIGKILL"), executor.exited)
  )

/** As `start`, and waits until it is ready. */
export const startReady = (options: StartOptions) =>
  Effect.tap(start(options), (executor) => executor.ready)

export class Executor {
  readonly startedAt = Date.now()
  readonly logs: Array<LogLine> = []
  stdout = ""
  stderr = ""
  private readonly process: ChildProcess
  private readonly waiting = new Set<() => void>()
  private ended: Exited | undefined

  constructor(options: StartOptions) {
    const command = options.command ?? [
      process.execPath,
      bin,
      "start",
      ...(options.module === undefined ? [] : [options.module]),
      ...(options.args ?? [])
    ]
    this.process = spawn(command[0] ?? "", command.slice(1), {
      cwd: options.cwd,
      detached: options.ownGroup === true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        PORT: "0",
        AUTH_SECRET: secret,
        ...options.env
      }
    })
    if (this.process.stdout !== null) {
      createInterface({ input: this.process.stdout }).on("line", (line) => {
        this.stdout += `${line}\n`
        const decoded = Schema.decodeUnknownOption(LogLineSchema)(line)
        if (decoded._tag === "Some") this.logs.push({ ...decoded.value, at: Date.now() })
        this.look()
      })
    }
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString()
      this.look()
    })
    this.process.once("close", (code, signal) => {
      this.ended = { code, signal, at: this.ended?.at ?? Date.now() }
      this.look()
    })
    // the streams close a little later
    this.process.once("exit", (code, signal) => {
      this.ended = { code, signal, at: Date.now() }
    })
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  private look() {
    for (const look of [...this.waiting]) look()
  }

  /** Waits until `look` finds something; dies, with all that was said, once the process is over. */
  private until<A>(what: string, look: () => A | undefined): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      const again = () => {
        const found = look()
        if (found !== undefined) {
          this.waiting.delete(again)
          resume(Effect.succeed(found))
        } else if (this.process.exitCode !== null || this.process.signalCode !== null) {
          if (this.process.stdout?.readableEnded !== true) return
          this.waiting.delete(again)
          resume(Effect.die(new Error(`over before ${what}:\n${this.stdout}${this.stderr}`)))
        }
      }
      this.waiting.add(again)
      again()
      return Effect.sync(() => this.waiting.delete(again))
    })
  }

  /** The first line with this message, past or to come. */
  log(message: string, matches: (line: LogLine) => boolean = () => true): Effect.Effect<LogLine> {
    return this.until(`"${message}" was logged`, () =>
      this.logs.find((line) => line.message.startsWith(message) && matches(line))
    )
  }

  /** Waits until its output has this text. */
  stdoutHas(text: string): Effect.Effect<true> {
    return this.until(`${text} was said`, () => this.stdout.includes(text) || undefined)
  }

  /** Waits until it has said this on standard error. */
  stderrHas(text: string): Effect.Effect<true> {
    return this.until(`${text} was said`, () => this.stderr.includes(text) || undefined)
  }

  has(message: string): boolean {
    return this.logs.some((line) => line.message.startsWith(message))
  }

  /** Its "executor ready". */
  get ready(): Effect.Effect<LogLine> {
    return this.log("executor ready")
  }

  /** Its address, once ready. */
  get url(): Effect.Effect<string> {
    return Effect.map(this.ready, ({ annotations }) => String(annotations.address))
  }

  get exited(): Effect.Effect<Exited> {
    return Effect.async<Exited>((resume) => {
      const look = () => {
        const { stdout } = this.process
        if (this.ended === undefined) return
        if (stdout?.destroyed === false && !stdout.readableEnded) return
        this.waiting.delete(look)
        resume(Effect.succeed(this.ended))
      }
      this.waiting.add(look)
      look()
    })
  }

  /** Nobody reads the log any more. */
  get closeOutput(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.process.stdout?.destroy()
      this.process.stderr?.destroy()
    })
  }

  kill(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => {
      this.process.kill(signal)
    })
  }

  /** What a Ctrl-C at a terminal does: all that it has started gets it too. */
  killGroup(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => {
      process.kill(-this.pid, signal)
    })
  }

  /** Its end by a signal that it may have to be sent again and again. */
  killUntilExit(signal: NodeJS.Signals): Effect.Effect<Exited> {
    return Effect.raceFirst(
      this.exited,
      Effect.forever(Effect.delay(this.kill(signal), "20 millis"))
    )
  }

  /** Its end by a signal: how it exited, and how long that took. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Effect.Effect<Exited & { readonly millis: number }> {
    return Effect.gen(this, function* () {
      const since = Date.now()
      yield* this.kill(signal)
      const exited = yield* this.exited
      return { ...exited, millis: exited.at - since }
    })
  }

  request(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: unknown
  ): Effect.Effect<{ readonly status: number; readonly body: unknown }> {
    return Effect.gen(this, function* () {
      const url = yield* this.url
      const authorization = `Bearer ${yield* token}`
      return yield* Effect.promise(async () => {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: { authorization, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        const text = await response.text()
        return {
          status: response.status,
          body: text === "" ? undefined : (JSON.parse(text) as unknown)
        }
      })
    })
  }

  /** Starts a run; its id. */
  run(workflow: string, payload: unknown): Effect.Effect<string> {
    return Effect.map(this.request("POST", "/runs", { workflow, payload }), ({ body, status }) => {
      if (status !== 202 && status !== 200)
        throw new Error(`POST /runs: ${status} ${JSON.stringify(body)}`)
      return Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(body).runId
    })
  }

  get(runId: string): Effect.Effect<RunView> {
    return Effect.map(this.request("GET", `/runs/${runId}`), ({ body }) => decodeRun(body))
  }

  /** Asks again and again, as nothing tells a client over HTTP of the end. */
  whenRun(runId: string, matches: (run: RunView) => boolean): Effect.Effect<RunView> {
    return Effect.flatMap(this.get(runId), (run) =>
      matches(run)
        ? Effect.succeed(run)
        : Effect.delay(
            Effect.suspend(() => this.whenRun(runId, matches)),
            "10 millis"
          )
    )
  }

  completed(runId: string): Effect.Effect<RunView> {
    return this.whenRun(runId, ({ status }) => status === "completed")
  }

  /** Bytes of memory it has had at most; on Linux only. */
  get peakMemory(): Effect.Effect<number> {
    return Effect.promise(async () => {
      const status = await readFile(`/proc/${this.pid}/status`, "utf8")
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
    })
  }
}

const RunView = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: Schema.String,
  result: Schema.optionalWith(Schema.Unknown, { exact: true }),
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      attempt: Schema.Number,
      status: Schema.String,
      completedAt: Schema.optionalWith(Schema.String, { exact: true }),
      result: Schema.optionalWith(Schema.Unknown, { exact: true })
    })
  )
})

export type RunView = typeof RunView.Type

const decodeRun = Schema.decodeUnknownSync(RunView)

export const token: Effect.Effect<string> = Authorization.makeTokens(Redacted.make(secret)).pipe(
  Effect.flatMap((tokens) => tokens.sign()),
  Effect.map(Redacted.value),
  Effect.orDie
)

/** A client on the bare connection, which says and reads only what it is told to. */
export const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.async<Socket>((resume) => {
      const { hostname, port } = new URL(url)
      const socket = createConnection({ host: hostname, port: Number(port), noDelay: true })
      socket.on("error", () => {})
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** What the steps of the fixtures wrote to their file. */
export interface Execution {
  readonly event: "began" | "ended" | "compensated"
  readonly runId: string
  readonly step: string
  readonly pid: number
  readonly execution: string
  readonly at: number
  /** Of the first of a process: milliseconds that it had to wait for a processor until then. */
  readonly waited?: number
}

const decodeExecution = Schema.decodeUnknownSync(
  Schema.parseJson(
    Schema.Struct({
      event: Schema.Literal("began", "ended", "compensated"),
      runId: Schema.String,
      step: Schema.String,
      pid: Schema.Number,
      execution: Schema.String,
      at: Schema.Number,
      waited: Schema.optionalWith(Schema.Number, { exact: true })
    })
  )
)

/** The executions so far, in the order in which they were written. */
export const executions = (file: string): Effect.Effect<ReadonlyArray<Execution>> =>
  Effect.promise(async () => {
    const text = await readFile(file, "utf8").catch(() => "")
    // the last line may be half written, by a process that was killed
    const lines = text.split("\n").slice(0, -1)
    return lines.map((line) => decodeExecution(line))
  })

/** Waits until the steps have written what is looked for. */
export const executed = (
  file: string,
  matches: (executions: ReadonlyArray<Execution>) => boolean
): Effect.Effect<ReadonlyArray<Execution>> =>
  Effect.flatMap(executions(file), (found) =>
    matches(found)
      ? Effect.succeed(found)
      : Effect.delay(
          Effect.suspend(() => executed(file, matches)),
          "20 millis"
        )
  )
