/**
 * Waits of a workflow for a signal, a timer or a child. While other parts of the same run have
 * steps in flight a wait stays in place, so that what it waits for is noticed at once; when all
 * that is left of the run waits, the run suspends and leaves memory.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ActiveRun } from "./ActiveRun.js"
import type { Link } from "./Pass.js"

/** What it waits for: a value that is there, or when it will be, or neither. */
export type Look<A> = (
  now: number
) =>
  | { readonly _tag: "There"; readonly value: A }
  | { readonly _tag: "At"; readonly time: number }
  | { readonly _tag: "Unknown" }

export interface WaitOptions {
  /** This process takes no new work any more. */
  readonly isDraining: () => boolean
  /** Stay in place however long it takes, but for a drain. */
  readonly stay: boolean
}

/**
 * Waits until it is there; `undefined` when the run is to suspend instead.
 *
 * @param count how many steps, waits and children the workflow has under way in all
 */
export const wait = <A>(
  link: Link,
  count: () => number,
  look: Look<A>,
  options: WaitOptions
): Effect.Effect<A | undefined> =>
  Effect.flatMap(Effect.clock, (clock) => {
    const found = look(clock.unsafeCurrentTimeMillis())
    if (found._tag === "There") return Effect.succeed(found.value)
    link.waiting++
    link.run.changed()
    return Effect.onExit(waitInPlace(link, count, look, options, clock), (exit) =>
      Effect.sync(() => {
        link.waiting--
        if (Exit.isSuccess(exit) && exit.value === undefined) link.run.waitedInVain = true
        link.run.changed()
      })
    )
  })

const waitInPlace = Effect.fnUntraced(function* <A>(
  link: Link,
  count: () => number,
  look: Look<A>,
  options: WaitOptions,
  clock: Clock.Clock
) {
  const { run } = link
  while (true) {
    // a branch whose step has just ended has gone on to its next step when the yield is over
    yield* Effect.yieldNow()
    const version = run.version
    const seen = look(clock.unsafeCurrentTimeMillis())
    if (seen._tag === "There") return seen.value
    if (run.halt !== undefined) return undefined
    if (!options.stay && count() <= link.waiting) return undefined
    if (options.isDraining()) {
      run.refused = true
      return undefined
    }
    yield* change(run, version, clock, seen._tag === "At" ? seen.time : undefined)
  }
})

const maxSleepMillis = 2 ** 31 - 1

/** Until something of the run has changed since that version, or it is that time. */
const change = (run: ActiveRun, version: number, clock: Clock.Clock, time: number | undefined) => {
  const changed = Effect.async<void>((resume) => {
    if (run.version !== version) return resume(Effect.void)
    return Effect.sync(run.onChange(() => resume(Effect.void)))
  })
  if (time === undefined) return changed
  const remaining = Math.min(Math.max(0, time - clock.unsafeCurrentTimeMillis()), maxSleepMillis)
  return Effect.raceFirst(changed, clock.sleep(Duration.millis(remaining)))
}
