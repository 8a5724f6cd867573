/**
 * Ids of runs that people have shortened: 4 characters or more name a run, where the id of no other
 * begins so. A whole id costs no look-up.
 */
import * as Effect from "effect/Effect"
import { minPrefix, type RunIdsView } from "../runner/Runs.js"
import { UsageError } from "./Failures.js"
import type { Target, TargetError } from "./Target.js"

/** So many of the runs that it may be are named. */
const maxNamed = 5

const ambiguous = (prefix: string, { more, runs }: RunIdsView) => {
  const named = runs.slice(0, maxNamed).map(({ runId, workflow }) => `${runId} (${workflow})`)
  const others = more || runs.length > named.length ? [...named, "and others"] : named
  return new UsageError({
    message: `${JSON.stringify(prefix)} is the beginning of several ids: ${others.join(", ")}; give more of it`
  })
}

/** The run that these are, unless it may be several. */
const only = (prefix: string, found: RunIdsView): Effect.Effect<string | undefined, UsageError> => {
  const [first] = found.runs
  if (first === undefined) return Effect.succeed(undefined)
  // the first of them in their order is the id itself, where there is that
  const isOne = first.runId === prefix || (found.runs.length === 1 && !found.more)
  return isOne ? Effect.succeed(first.runId) : ambiguous(prefix, found)
}

/** Does it with the run of this id; where there is none, with the one whose id begins so. */
export const named = <A, E extends TargetError>(
  target: Target["Type"],
  id: string,
  use: (runId: string) => Effect.Effect<A, E>
): Effect.Effect<A, E | UsageError> =>
  Effect.catchIf(
    use(id),
    ({ _tag }) => _tag === "RunNotFound" && id.length >= minPrefix,
    (error) =>
      Effect.gen(function* () {
        const found = yield* Effect.orElseFail(target.ids(id), () => error)
        const runId = yield* only(id, found)
        return runId === undefined ? yield* Effect.fail(error) : yield* use(runId)
      })
  )

/** The id that is meant by this one: itself, where none begins so. */
export const whole = (
  target: Target["Type"],
  id: string
): Effect.Effect<string, TargetError | UsageError> =>
  id.length < minPrefix
    ? Effect.succeed(id)
    : Effect.flatMap(target.ids(id), (found) => Effect.map(only(id, found), (runId) => runId ?? id))
