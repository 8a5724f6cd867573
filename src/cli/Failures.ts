/**
 * What went wrong, for whoever started the process: a line or a few, no traces of fibers.
 */
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Predicate from "effect/Predicate"
import * as Variable from "../internal/Variable.js"

/**
 * What scripts can go by.
 *
 * - `error`: it did not work: no executor answers, the token is refused, the file cannot be read.
 *   Of `doctor`: something is wrong.
 * - `usage`: the command line is not one; nothing was done.
 * - `runFailed`: the run that was watched is over, and did not complete.
 * - `notStopped`: the executor that was asked to drain has not stopped in time, and goes on with it.
 * - `notFound`: there is no such run, or schedule.
 * - `interrupted`: by Ctrl-C, while it watched or waited.
 */
export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  runFailed: 3,
  notStopped: 3,
  notFound: 4,
  interrupted: 130
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** How a command ends when not well. What there is to say about it has been said. */
export class CommandEnded extends Data.TaggedError("CommandEnded")<{
  readonly exitCode: ExitCode
}> {}

/** The command line asks for something that cannot be. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

const ofFailure = (error: unknown): ReadonlyArray<string> => {
  if (ConfigError.isConfigError(error)) return Variable.describe(error)
  if (Predicate.hasProperty(error, "message") && Predicate.isString(error.message)) {
    const message = error.message === "" ? nameOf(error) : error.message
    return [message]
  }
  return [Predicate.isString(error) ? error : (JSON.stringify(error) ?? String(error))]
}

const nameOf = (error: object) =>
  Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag)
    ? error._tag
    : error instanceof Error
      ? error.name
      : String(error)

/** A defect is a fault in somebody's code: its name, and the line that threw it. */
const ofDefect = (defect: unknown): ReadonlyArray<string> => {
  if (!(defect instanceof Error)) return ofFailure(defect)
  const place = defect.stack
    ?.split("\n")
    .find((line) => /^\s+at /.test(line) && !/node:internal|\/node_modules\/effect\//.test(line))
    ?.trim()
  const line = `${defect.name}: ${defect.message}`
  return [place === undefined ? line : `${line} (${place})`]
}

export const describe = (cause: Cause.Cause<unknown>): ReadonlyArray<string> => [
  ...new Set([
    ...Chunk.toReadonlyArray(Cause.failures(cause)).flatMap(ofFailure),
    ...Chunk.toReadonlyArray(Cause.defects(cause)).flatMap(ofDefect)
  ])
]

/** Whatever the log's level is: a process does not end with code 1 without a word. */
export const logFatal = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.forEach(describe(cause), (line) => Effect.logFatal(line), { discard: true }).pipe(
    Logger.withMinimumLogLevel(LogLevel.Fatal),
    Effect.zipRight(Effect.logDebug("the failure in full", cause))
  )

const tagOf = (error: unknown) => (Predicate.hasProperty(error, "_tag") ? error._tag : undefined)

const notFound: ReadonlySet<unknown> = new Set(["RunNotFound", "ScheduleNotFound"])

const exitCodeOfFailure = (error: unknown): ExitCode => {
  if (error instanceof CommandEnded) return error.exitCode
  if (error instanceof UsageError || ValidationError.isValidationError(error)) {
    return exitCodes.usage
  }
  return notFound.has(tagOf(error)) ? exitCodes.notFound : exitCodes.error
}

/** A command that gives its answer on standard output tells what went wrong on standard error. */
export const reported = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, CommandEnded, R> =>
  Effect.catchAllCause(effect, (cause) => {
    if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
    const failures = Chunk.toReadonlyArray(Cause.failures(cause))
    const ended = [...failures, ...Cause.defects(cause)].find(
      (error): error is CommandEnded => error instanceof CommandEnded
    )
    if (ended !== undefined) return ended
    return Effect.forEach(describe(cause), (line) => Console.error(oneLine(line)), {
      discard: true
    }).pipe(
      Effect.zipRight(Effect.logDebug("the failure in full", cause)),
      Effect.zipRight(new CommandEnded({ exitCode: exitCodeOfFailure(failures[0]) }))
    )
  })

const oneLine = (text: string) => text.replace(/\s*\n\s*/g, " ")

/** The exit code of the process. A signal ends `start` well: that is what it waits for. */
export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return exitCodes.ok
  const errors = [...Cause.failures(exit.cause), ...Cause.defects(exit.cause)]
  if (errors.length > 0) return exitCodeOfFailure(errors[0])
  return Cause.isInterruptedOnly(exit.cause) ? exitCodes.ok : exitCodes.error
}
