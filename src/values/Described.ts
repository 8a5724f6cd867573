/** What a recorded failure is told as. */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import type { ErrorView } from "../api/RunView.js"
import type { Json } from "../store/RunStore.js"
import * as EncodedCause from "./EncodedCause.js"

export const parse = (json: Json): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(json),
    catch: () => "what is stored is not JSON"
  })

export const unreadable = (message: string): ErrorView => ({ _tag: "Unreadable", message })

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined")

const failureView = (error: unknown): ErrorView => {
  if (!Predicate.isReadonlyRecord(error)) return { _tag: "Failure", message: textOf(error) }
  const tag = typeof error._tag === "string" ? error._tag : "Failure"
  const message =
    typeof error.message === "string" ? error.message : tag === "Failure" ? textOf(error) : tag
  return { ...error, _tag: tag, message }
}

const defectView = (defect: unknown): ErrorView => ({
  _tag: "Defect",
  message:
    Predicate.hasProperty(defect, "message") && typeof defect.message === "string"
      ? defect.message
      : textOf(defect)
})

/** What to tell of an encoded `Cause`: a typed error before a defect before an interruption. */
const causeView = (cause: unknown): ErrorView => {
  const told = EncodedCause.telling(cause)
  if (told?._tag === "Fail") return failureView(told.error)
  if (told !== undefined) return defectView(told.defect)
  return EncodedCause.leaves(cause).some(({ _tag }) => _tag === "Interrupt")
    ? { _tag: "Interrupted", message: "interrupted" }
    : unreadable("what is stored is not a Cause")
}

/** Of a run that was terminated. */
const terminatedView = (terminated: unknown): ErrorView | undefined => {
  if (!Predicate.isReadonlyRecord(terminated)) return undefined
  const { reason } = terminated
  return typeof reason === "string"
    ? { _tag: "Interrupted", message: `terminated: ${reason}`, reason }
    : { _tag: "Interrupted", message: "terminated" }
}

/** Of a run that did not end in time. */
const timedOutView = (timedOut: unknown, cause: unknown): ErrorView | undefined =>
  Predicate.isReadonlyRecord(timedOut)
    ? { ...timedOut, _tag: "RunTimedOut", message: causeView(cause).message }
    : undefined

export const outcomeView = (
  exit: Json
): { readonly result: unknown } | { readonly error: ErrorView } => {
  const parsed = parse(exit)
  if (Either.isLeft(parsed)) return { error: unreadable(parsed.left) }
  const outcome = parsed.right
  if (Predicate.isReadonlyRecord(outcome)) {
    if (outcome._tag === "Success") return { result: outcome.value }
    if (outcome._tag === "Failure") {
      return {
        error:
          terminatedView(outcome.terminated) ??
          timedOutView(outcome.timedOut, outcome.cause) ??
          causeView(outcome.cause)
      }
    }
  }
  return { error: unreadable("what is stored is not an Exit") }
}

export const leftOutView = (bytes: number): ErrorView => ({
  _tag: "LeftOut",
  message: `it has ${bytes} bytes, too many to be told with others; ask for it alone`
})

export const suspendedView = (cause: Json): { readonly error: ErrorView } => ({
  error: Either.match(parse(cause), { onLeft: unreadable, onRight: causeView })
})

const maxDescription = 2_000

const describe = ({ _tag, message }: ErrorView): string => {
  const text = _tag === message ? _tag : `${_tag}: ${message}`
  return text.length > maxDescription ? `${text.slice(0, maxDescription)}…` : text
}

/** Why a recorded exit is a failure, in at most 2,000 characters. */
export const describeFailure = (exit: Json): string => {
  const view = outcomeView(exit)
  return "error" in view ? describe(view.error) : ""
}

/** Why a run is suspended, in at most 2,000 characters. */
export const describeCause = (cause: Json): string => describe(suspendedView(cause).error)
