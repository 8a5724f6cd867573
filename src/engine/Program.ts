/**
 * Programs that a step executes: ffmpeg, git, a compiler.
 *
 * A Ctrl-C at a terminal goes to every process of the foreground group. A program in the group of
 * this process ends of it, in the middle of a step that the drain would have let end. Here each
 * program gets a group of its own, which also is ended as a whole: with all that it has started.
 */
import { type ChildProcess, spawn } from "node:child_process"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import * as Schema from "effect/Schema"
import * as Given from "../internal/Given.js"
import { within } from "../internal/Within.js"
import * as Programs from "./step/Programs.js"

export interface Options {
  /** The folder in which it is executed. Default: that of this process. */
  readonly cwd?: string | undefined
  /** Variables beside those of this process; `undefined` takes one of those away. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** What it reads on its standard input. Default: nothing. */
  readonly input?: string | Uint8Array | undefined
  /**
   * How many bytes it may write to standard output; with more it is ended, and fails. Of standard
   * error as many are kept, the last ones. Default: 1 MiB.
   */
  readonly maxOutput?: number | undefined
  /**
   * How long after a SIGTERM it is killed, where the step is interrupted. Less than `stopGrace`, or
   * a stop leaves it behind. Default: 1 second.
   */
  readonly killAfter?: Duration.DurationInput | undefined
}

/** What a program that ended with code 0 has written. */
export interface Output {
  readonly stdout: string
  readonly stderr: string
}

/**
 * The program did not end with code 0: the one of `exitCode` and `signal` says how it ended that is
 * not null; where both are, it could not be started, or wrote too much, as the message says.
 */
export class ProgramFailed extends Schema.TaggedError<ProgramFailed>()("ProgramFailed", {
  command: Schema.String,
  exitCode: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String),
  /** The end of it, of at most 4,000 characters. */
  stderr: Schema.String,
  message: Schema.String
}) {}

const shownOfStderr = 4_000

/** The last bytes of a stream. */
class Tail {
  private chunks: Array<Buffer> = []
  private length = 0

  constructor(private readonly limit: number) {}

  add(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.length += chunk.length
    if (this.length <= 2 * this.limit) return
    this.chunks = [this.bytes()]
    this.length = this.limit
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.chunks)
    return all.subarray(Math.max(0, all.length - this.limit))
  }
}

/** Windows has no process groups: there it ends alone. */
const hasGroups = process.platform !== "win32"

const signalAll = (program: ChildProcess, signal: NodeJS.Signals): void => {
  if (program.pid === undefined) return
  try {
    if (hasGroups) process.kill(-program.pid, signal)
    else program.kill(signal)
  } catch {
    // there is none of it left
  }
}

const isOver = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

/** Asks all of it to end, then makes it; waits for that. */
const ended = (program: ChildProcess, killAfter: Duration.DurationInput): Effect.Effect<void> => {
  const over = Effect.async<void>((resume) => {
    if (program.pid === undefined || isOver(program)) return resume(Effect.void)
    program.once("exit", () => resume(Effect.void))
  })
  return Effect.gen(function* () {
    Programs.endedHere(program)
    signalAll(program, "SIGTERM")
    const heeded = yield* within(killAfter)(over)
    // also what it has started, and left behind
    signalAll(program, "SIGKILL")
    if (heeded._tag === "None") yield* over
  })
}

/**
 * Executes a program in a process group of its own, and answers with what it wrote. Interrupted, it
 * ends the whole group: SIGTERM, and SIGKILL after `killAfter`.
 *
 * A program that a step executes may execute again, as the step may. If this process is killed, the
 * program goes on, and meets the one of the next executor: let it write to a file of another name,
 * and rename that.
 *
 * @example
 * const convert = Activity.make({
 *   name: "convert",
 *   error: Program.ProgramFailed,
 *   execute: Effect.asVoid(Program.run("ffmpeg", ["-i", "in.mov", "-y", "out.mp4"]))
 * })
 */
export const run = (
  command: string,
  args: ReadonlyArray<string> = [],
  options: Options = {}
): Effect.Effect<Output, ProgramFailed> =>
  Effect.async<Output, ProgramFailed>((resume) => {
    const maxOutput = Given.wholeNumber("maxOutput", options.maxOutput ?? 1024 * 1024, { min: 0 })
    const killAfter = Given.duration("killAfter", options.killAfter ?? "1 second")
    const stdout: Array<Buffer> = []
    const stderr = new Tail(maxOutput)
    let written = 0
    const failed = (
      how: string,
      { exitCode = null, signal = null }: { exitCode?: number | null; signal?: string | null } = {}
    ) => {
      const said = stderr.bytes().toString().slice(-shownOfStderr)
      const message = `${command}: ${how}${said.trim() === "" ? "" : `: ${said.trim()}`}`
      const error = { command, exitCode, signal, stderr: said, message }
      return Effect.fail(new ProgramFailed(error))
    }

    let program: ChildProcess
    try {
      program = spawn(command, args, {
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        detached: hasGroups,
        stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"]
      })
    } catch (cause) {
      // such as a NUL in an argument
      return resume(failed(String(cause)))
    }
    program.once("error", (cause) => {
      if (program.pid === undefined) resume(failed(cause.message))
    })
    program.stdout?.on("data", (chunk: Buffer) => {
      written += chunk.length
      if (written <= maxOutput) return stdout.push(chunk)
      program.stdout?.destroy()
      const tooMuch = failed(`wrote more than ${maxOutput} bytes`)
      return resume(Effect.zipRight(Effect.uninterruptible(ended(program, killAfter)), tooMuch))
    })
    program.stderr?.on("data", (chunk: Buffer) => stderr.add(chunk))
    // it may end, or read no more, before it has read all
    program.stdin?.on("error", () => {})
    program.stdin?.end(options.input)
    program.once("close", (exitCode, signal) => {
      if (exitCode === 0) {
        const output = Buffer.concat(stdout).toString()
        return resume(Effect.succeed({ stdout: output, stderr: stderr.bytes().toString() }))
      }
      const how = signal === null ? `exit code ${exitCode}` : `ended by ${signal}`
      resume(failed(how, { exitCode, signal }))
    })
    return Effect.suspend(() => {
      program.removeAllListeners("close")
      return ended(program, killAfter)
    })
  })

/**
 * As `run`, for workflows that are async functions. Rejects with `ProgramFailed`; with `signal`, that
 * of the step, the program is ended when the step is cut.
 *
 * @example
 * await ctx.step("convert", async ({ signal }) => {
 *   await Program.runPromise("ffmpeg", ["-i", "in.mov", "-y", "out.mp4"], { signal })
 * })
 */
export const runPromise = (
  command: string,
  args: ReadonlyArray<string> = [],
  { signal, ...options }: Options & { readonly signal?: AbortSignal | undefined } = {}
): Promise<Output> =>
  // by way of an Either, so that it rejects with the error itself
  Effect.runPromise(
    Effect.either(run(command, args, options)),
    signal === undefined ? undefined : { signal }
  ).then(Either.getOrThrowWith(identity))
