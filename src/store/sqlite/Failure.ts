import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { closed } from "../Closed.js"
import { RunStoreError } from "../RunStore.js"

/** What SQLite said, from under the errors that the client wraps around it. */
interface Root {
  readonly code: string | undefined
  readonly message: string
}

const rootOf = (error: unknown): Root => {
  const code =
    Predicate.hasProperty(error, "code") && Predicate.isString(error.code) ? error.code : undefined
  if (code === undefined && Predicate.hasProperty(error, "cause") && error.cause !== undefined) {
    return rootOf(error.cause)
  }
  return { code, message: error instanceof Error ? error.message : String(error) }
}

const isDamage = /^SQLITE_(CORRUPT|NOTADB)/

const reasonOf = ({ code = "", message }: Root): RunStoreError["reason"] => {
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) return "busy"
  if (code === "SQLITE_FULL") return "full"
  if (isDamage.test(code)) return "damaged"
  if (message.includes("database connection is not open")) return "closed"
  return "unavailable"
}

/** What another try may find otherwise: locks, the disk, memory, the file as such. */
const passing =
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|NOMEM|PROTOCOL|INTERRUPT|ABORT|SCHEMA|CORRUPT|NOTADB|PERM|AUTH|NOLFS)/

/**
 * Of a statement of a write that failed alone. Whatever is not known to pass is taken not to, for what
 * never passes is not to be tried for ever.
 */
export const ofStatement = (cause: Cause.Cause<unknown>): RunStoreError => {
  const error = fromCause(cause, "write")
  const { code = "" } = rootOf(Cause.squash(cause))
  return error.reason !== "unavailable" || passing.test(code)
    ? error
    : new RunStoreError({ reason: "refused", message: error.message, cause: error.cause })
}

export const describe = (error: unknown): string => {
  const { code, message } = rootOf(error)
  return code === undefined || message.includes(code) ? message : `${message} (${code})`
}

export const fromCause = (cause: Cause.Cause<unknown>, doing: string): RunStoreError => {
  if (Cause.isInterruptedOnly(cause)) return closed
  const error = Cause.squash(cause)
  if (error instanceof RunStoreError) return error
  const reason = reasonOf(rootOf(error))
  const message = `The run store could not ${doing}: ${describe(error)}`
  return new RunStoreError({
    reason,
    message: `${message}${hints[reason] ?? ""}`,
    cause: error
  })
}

/** Who keeps a lock for so long. */
const holder =
  "another process writes for too long, or stands still in the middle of a write (stopped, or in a debugger)"

/** What to do with a file that is not whole. */
const mend =
  "the file is damaged, or none of ours: stop every executor that uses it, keep it together with its -wal, and restore a backup, or what `sqlite3 FILE .recover` finds"

const hints: { readonly [reason in RunStoreError["reason"]]?: string } = {
  busy: `; ${holder}`,
  damaged: `; ${mend}`
}

/** @param found what is wrong, in SQLite's words */
export const damaged = (found: string) =>
  new RunStoreError({
    reason: "damaged",
    message: `The run store is not whole: ${found}; ${mend}`
  })

/**
 * Turns errors and defects alike: the client throws where it does not expect a failure, for
 * instance on a connection that somebody has closed.
 */
export const orRunStoreError =
  (doing: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, RunStoreError, R> =>
    Effect.catchAllCause(effect, (cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(fromCause(cause, doing))
    )

export const ignoreAll = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
  Effect.catchAllCause(Effect.asVoid(effect), () => Effect.void)

/** Says of which file an error is. */
export const named =
  (filename: string) =>
  ({ reason, message, cause }: RunStoreError): RunStoreError =>
    new RunStoreError({ reason, message: `${filename}: ${message}`, cause })
