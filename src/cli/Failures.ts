/**
 * What went wrong, for whoever started the process: a line or a few, no traces of fibers.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Predicate from "effect/Predicate"
import * as Variable from "../internal/Variable.js"

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
