import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { closed } from "../Closed.js"
import { RunStoreError } from "../RunStore.js"
import { NotKept } from "./Sql.js"

/** What PostgreSQL or the driver said, from under the errors that are wrapped around it. */
interface Root {
  /** SQLSTATE, or a code of Node's. */
  readonly code: string | undefined
  readonly message: string
  readonly error: unknown
}

const rootOf = (error: unknown): Root => {
  if (Predicate.hasProperty(error, "code") && Predicate.isString(error.code)) {
    return { code: error.code, message: messageOf(error), error }
  }
  if (Predicate.hasProperty(error, "cause") && error.cause !== undefined) return rootOf(error.cause)
  return { code: undefined, message: messageOf(error), error }
}

const messageOf = (error: unknown): string => {
  // of several addresses that were tried
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ")
  return error instanceof Error ? error.message : String(error)
}

/** SQLSTATE, or a code of Node's. */
export const codeOf = (error: unknown): string | undefined => rootOf(error).code

/** Of a lock, a deadlock or a conflict: another try may do. */
const isBusy = /^(40|55P03|55006)/

/**
 * What will never do: a value out of range or too large, a constraint, a text that does not come back.
 * `42` is a statement that this schema does not have.
 */
const isRefused = /^(21|22|23|54)/

/** 53100 is a full disk; 54 of the server's limits are the write's own. */
const reasonOf = ({ code = "", error }: Root): RunStoreError["reason"] => {
  if (error instanceof NotKept) return "refused"
  if (isBusy.test(code)) return "busy"
  if (code === "53100") return "full"
  if (code === "XX001" || code === "XX002") return "damaged"
  if (isRefused.test(code)) return "refused"
  return "unavailable"
}

export const describe = (error: unknown): string => {
  const { code, message } = rootOf(error)
  return code === undefined || message.includes(code) ? message : `${message} (${code})`
}

export const fromCause = (cause: Cause.Cause<unknown>, doing: string): RunStoreError => {
  if (Cause.isInterruptedOnly(cause)) return closed
  const error = Cause.squash(cause)
  if (error instanceof RunStoreError) return error
  return new RunStoreError({
    reason: reasonOf(rootOf(error)),
    message: `The run store could not ${doing}: ${describe(error)}`,
    cause: error
  })
}

/** Whether the connection is of no use any more, or nobody knows what became of its statement. */
export const isConnectionLost = (cause: Cause.Cause<unknown>): boolean => {
  const failed = Cause.squash(cause)
  const { code, error } = rootOf(failed)
  if (!(failed instanceof SqlError) || error instanceof NotKept) return false
  // the server answers with a SQLSTATE; 08 and 57P are of connections that are, or were, closed
  return code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code)
}

export const orRunStoreError =
  (doing: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, RunStoreError, R> =>
    Effect.catchAllCause(effect, (cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(fromCause(cause, doing))
    )

export const ignoreAll = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
  Effect.catchAllCause(Effect.asVoid(effect), () => Effect.void)

/** Of a commit whose answer did not come, and that the database does not know. */
export const notWritten = new RunStoreError({
  reason: "unavailable",
  message: "The run store could not write: the connection was lost before it was committed"
})

export const readOnly = new RunStoreError({
  reason: "unavailable",
  message: "The run store cannot write: the database is a replica, or set to be read only"
})
