/**
 * What recorded failures say, read from their JSON: an encoded `Cause` is looked into without the
 * schemas that its errors are of.
 */
import * as Predicate from "effect/Predicate"
import type { Json } from "../store/RunStore.js"

type Leaf = Readonly<Record<string, unknown>>

/** The encoded causes that are neither Parallel nor Sequential, from left to right. */
export const leaves = (cause: unknown): ReadonlyArray<Leaf> => {
  const found: Array<Leaf> = []
  const open = [cause]
  while (open.length > 0) {
    const current = open.pop()
    if (!Predicate.isReadonlyRecord(current)) continue
    if (current._tag === "Parallel" || current._tag === "Sequential") {
      open.push(current.right, current.left)
    } else {
      found.push(current)
    }
  }
  return found
}

/** Which of its parts tells why: a typed error before a defect. */
export const telling = (cause: unknown): Leaf | undefined => {
  const all = leaves(cause)
  return all.find(({ _tag }) => _tag === "Fail") ?? all.find(({ _tag }) => _tag === "Die")
}

const parse = (json: Json): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** The cause of a recorded failure. */
export const ofExit = (exit: Json | undefined): unknown => {
  const outcome = exit === undefined || !isFailure(exit) ? undefined : parse(exit)
  return Predicate.isReadonlyRecord(outcome) ? outcome.cause : undefined
}

const isFailure = (exit: Json) => exit.startsWith(`{"_tag":"Failure"`)

/** Takes where its defects came from out of a cause that was parsed just now: it is changed. */
export const removeStacks = (cause: unknown): void => {
  for (const { _tag, defect } of leaves(cause)) {
    if (_tag !== "Die" || !Predicate.isRecord(defect)) continue
    delete defect.stack
    delete defect.cause
  }
}

/** A recorded exit without what it has of stacks, or the same text where it has none. */
export const withoutStacks = (exit: Json): Json => {
  if (!isFailure(exit)) return exit
  const outcome = parse(exit)
  if (!Predicate.isRecord(outcome)) return exit
  removeStacks(outcome.cause)
  return JSON.stringify(outcome)
}

const textOf = (defect: unknown): string => {
  if (!Predicate.isReadonlyRecord(defect)) return String(defect)
  const { cause, message, name, stack } = defect
  const own = typeof stack === "string" && stack !== "" ? stack : `${name}: ${message}`
  return cause === undefined ? own : `${own}\n  [cause]: ${textOf(cause).replaceAll("\n", "\n  ")}`
}

const hasStack = (defect: unknown) =>
  Predicate.isReadonlyRecord(defect) && (defect.stack !== undefined || defect.cause !== undefined)

/** Where the first of its defects came from, with what caused it. */
export const stackOf = (cause: unknown): string | undefined => {
  const found = leaves(cause).find(({ _tag, defect }) => _tag === "Die" && hasStack(defect))
  return found === undefined ? undefined : textOf(found.defect)
}

/** At most so many failed steps are looked at. */
const maxSteps = 100

/** What is in the outcome of the step whose failure a run ended with. */
export const tellingText = (exit: Json | undefined): string | undefined => {
  const told = telling(ofExit(exit))
  return told === undefined ? undefined : JSON.stringify(told)
}

/**
 * The step whose failure a run ended with: the last one that failed with the same error. A workflow
 * that makes another error of it, or fails by itself, has none.
 *
 * @param text `tellingText` of the run
 */
export const failedWith = <S extends { readonly exit: Json | undefined }>(
  text: string,
  steps: ReadonlyArray<S>
): S | undefined => {
  let left = maxSteps
  for (let index = steps.length - 1; index >= 0 && left > 0; index--) {
    const step = steps[index]
    if (step?.exit === undefined || !isFailure(step.exit)) continue
    left--
    if (step.exit.includes(text)) return step
  }
  return undefined
}
