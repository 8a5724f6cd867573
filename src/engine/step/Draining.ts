/**
 * What a step may learn of a drain while it is under way, and what it may make of it: nothing, an
 * earlier end, or no end at all, so that it executes again where its run goes on.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { type Instance, linkOf } from "../pass/Pass.js"

/** Why a step ends that does not want to be finished in a drain. */
export class DrainBegun extends Data.TaggedError("DrainBegun") {
  override get message() {
    return "a drain has begun: the step executes again where its run goes on"
  }
}

/** Until a drain has begun. Another engine's instance says nothing of its drains. */
export const begun = (instance: Instance): Effect.Effect<void> => {
  const link = linkOf(instance)
  if (link === undefined) return Effect.never
  return link.nested ? link.run.registration.draining.await : outsideOfStep
}

const outsideOfStep = Effect.dieMessage(
  "Whether a drain has begun was asked outside of a step: a workflow sees nothing of a drain"
)

const givenUp = new WeakSet<Instance>()

/** What the step ends with from now on is no outcome, unless it succeeds. */
export const giveUp = (instance: Instance): void => void givenUp.add(instance)

export const hasGivenUp = (instance: Instance): boolean => givenUp.has(instance)

/** Whether it is why a step was to end, or was caused by that. */
export const isBecauseOf = (error: unknown, depth = 0): boolean =>
  error instanceof DrainBegun ||
  (depth < 5 && Predicate.isRecord(error) && isBecauseOf(error.cause, depth + 1))
