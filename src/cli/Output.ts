/**
 * What a command answers: a table for people, JSON for programs, on standard output. What it has to
 * say besides goes to standard error.
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { exitCodes } from "./Failures.js"
import * as Table from "./Table.js"

/** A reader that is slower than the answer comes is waited for: what it has not taken is kept. */
const taken = Effect.async<void>((resume) => {
  const { stdout } = process
  if (!stdout.writableNeedDrain) return resume(Effect.void)
  const onDrain = () => resume(Effect.void)
  stdout.once("drain", onDrain)
  return Effect.sync(() => stdout.off("drain", onDrain))
})

export const line = (text: string): Effect.Effect<void> => Effect.zipRight(Console.log(text), taken)

/** One document, or one of several lines. */
export const json = (value: unknown): Effect.Effect<void> => line(JSON.stringify(value))

/** For people only: programs do not read it. */
export const aside = (text: string): Effect.Effect<void> => Console.error(text)

export const table = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | undefined>>,
  options: Pick<Table.Options, "lastBelow" | "goesOn"> = {}
): Effect.Effect<void> =>
  Effect.suspend(() =>
    line(
      Table.render(headings, rows, {
        ...options,
        width: process.stdout.isTTY ? process.stdout.columns : undefined
      })
    )
  )

const besideLogger = Logger.make(({ cause, logLevel, message }) => {
  const text = [message].flat().map(String).join(" ")
  console.error(`${logLevel.label.toLowerCase()}: ${text}`)
  if (!Cause.isEmpty(cause)) console.error(Cause.pretty(cause))
})

/**
 * Log lines among the answer would make it unreadable: they go beside it, from this level on, or
 * from that of `--log-level` where that asks for more than usual.
 */
export const logBeside =
  (level: LogLevel.LogLevel) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(FiberRef.get(FiberRef.currentMinimumLogLevel), (asked) =>
      effect.pipe(
        Logger.withMinimumLogLevel(LogLevel.lessThan(asked, LogLevel.Info) ? asked : level),
        Effect.provide(Logger.replace(Logger.defaultLogger, besideLogger))
      )
    )

/**
 * Whoever reads the answer may go away (`| head`): nobody is left to be told anything. An answer that
 * cannot be written, as on a disk that is full, is none.
 */
export const endWithReader = Effect.sync(() => {
  const ended = ({ code }: NodeJS.ErrnoException) =>
    process.exit(code === "EPIPE" ? exitCodes.ok : exitCodes.error)
  process.stderr.on("error", ended)
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") {
      console.error(`The answer cannot be written to standard output: ${error.message}`)
    }
    ended(error)
  })
})
