/**
 * On a terminal, a drain says what it waits for: on standard error, a line when a step has ended and
 * every other second.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { StepInFlight } from "../engine/step/StepInFlight.js"
import type { Runner } from "../runner/Runner.js"
import * as Table from "./Table.js"

export const stepsLeft = (steps: number): string => `${steps} step${steps === 1 ? "" : "s"} left`

/**
 * @param steps oldest first
 * @param deadline when they are interrupted
 */
export const describe = (
  steps: ReadonlyArray<StepInFlight>,
  { deadline, now }: { readonly deadline: number; readonly now: number }
): string | undefined => {
  const [slowest] = steps
  if (slowest === undefined) return undefined
  const left = stepsLeft(steps.length)
  const longest = `${slowest.name} of ${slowest.workflow} ${slowest.runId}, for ${Table.duration(now - slowest.startedAt)}`
  const until =
    now < deadline ? `${Table.duration(deadline - now)} until the stop timeout` : "stop timeout"
  return Table.plain(`draining: ${left}, the longest ${longest}; ${until}`)
}

const lookEvery = 100
const sayEvery = 2_000

/** Waits for the drain, and tells of it until it is over. */
export const report = (
  { changes, inFlight }: Pick<Runner["Type"], "changes" | "inFlight">,
  { stopTimeout }: { readonly stopTimeout: Duration.Duration }
): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Stream.runDrain(Stream.takeUntil(changes, isLeaving))
    const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(stopTimeout)
    let said = { at: Number.NEGATIVE_INFINITY, steps: 0 }
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const steps = yield* inFlight
      const text = describe(steps, { deadline, now })
      if (text === undefined) return
      if (steps.length === said.steps && now - said.at < sayEvery) return
      said = { at: now, steps: steps.length }
      yield* Console.error(text)
    })
    yield* Effect.raceFirst(
      Effect.forever(Effect.zipRight(look, Effect.sleep(lookEvery))),
      Stream.runDrain(Stream.takeUntil(changes, (state) => state === "stopped"))
    )
  })

const isLeaving = (state: string) => state === "draining" || state === "stopped"
