/**
 * Where an interrupt that was asked for takes hold: where the record ends, for every finished step is
 * to have its compensation in place then. Until it does nothing new is begun. The steps in flight are
 * cut; one that finishes all the same is in the record, and the workflow goes on from it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { pause, turn } from "../../internal/Turn.js"
import * as Fibers from "./Fibers.js"
import type { Pass } from "./Pass.js"
import type { Level } from "./Quiescence.js"
import type { Waiting, Waits } from "./Waits.js"

/**
 * How long a pass may take over code of its own between two recorded steps: what it would have come
 * by later is not undone.
 */
const replayPatience = Duration.seconds(10)

/** How many turns of the event loop without news are quiet. */
const quietTurns = 5

/**
 * Interrupts the workflow's fiber. What it has in finalizers is executed, steps and waits too.
 *
 * @param onHold called when it takes hold
 */
const takeHold = (pass: Pass, origin: Fibers.Origin, onHold: () => void): void => {
  if (pass.fiber === undefined || pass.interrupted || pass.closing || pass.ended !== undefined) {
    return
  }
  pass.interrupted = true
  pass.instance.interrupted = true
  onHold()
  const waiting = pass.waits.now()
  pass.fiber.unsafeInterruptAsFork(pass.fiber.id())
  if (waiting.length > 0) Fibers.fork(origin, released(pass, waiting))
}

/** What waited by then waits no longer, also where the workflow was made uninterruptible. */
const released = (pass: Pass, waiting: ReadonlyArray<Waiting>) =>
  Effect.gen(function* () {
    let still = 0
    for (let count = 0; still <= patience && !pass.returned; count++) {
      yield* pause(count)
      still = pass.quiescence.level === "moving" ? 0 : still + 1
      letGo(pass.waits, waiting, still)
    }
  })

/** How many turns of the event loop are waited for fibers to hear of their interrupt. */
const patience = 3

/**
 * Ends waits of fibers that are interrupted; after a few turns without news, of those too that will
 * not hear of it, for others wait for them that cannot be interrupted.
 */
export const letGo = (waits: Waits, waiting: ReadonlyArray<Waiting>, quiet: number): void => {
  waits.cutInterrupted(waiting)
  if (quiet > patience) waits.cut(waiting)
}

/**
 * Lets the pass come by all that is recorded, and then interrupts it: when it is at rest, or when
 * there is nothing more to come by, or when it takes too long over code of its own.
 */
export const atEndOfRecord = (pass: Pass, origin: Fibers.Origin, onHold: () => void): void => {
  if (!pass.isReplaying && pass.stepsInFlight === 0 && pass.quiescence.level === "rest") {
    takeHold(pass, origin, onHold)
    return
  }
  const held = Effect.sync(() => takeHold(pass, origin, onHold))
  Fibers.fork(origin, Effect.zipRight(replayed(pass), held))
}

const isOver = (pass: Pass) =>
  pass.interrupted || pass.returned || pass.closing || pass.ended !== undefined

const replayed = (pass: Pass) =>
  Effect.gen(function* () {
    while (!isOver(pass)) {
      const left = yield* whenQuiet(pass)
      const { level } = pass.quiescence
      if (pass.stepsInFlight > 0) yield* progressAfter(pass, left, level)
      else if (!pass.isReplaying || level === "rest") return
      else {
        const more = progressAfter(pass, left, level)
        if (Option.isNone(yield* Effect.timeoutOption(more, replayPatience))) return
      }
    }
  })

/** @returns how many recorded outcomes are left then */
const whenQuiet = (pass: Pass) =>
  Effect.gen(function* () {
    let before = -1
    for (let quiet = 0; quiet < quietTurns && !isOver(pass); quiet++) {
      yield* turn
      const now = pass.toReplay
      if (now !== before) quiet = 0
      before = now
    }
    return before
  })

const progressAfter = (pass: Pass, left: number, level: Level) =>
  Effect.async<void>((resume) => {
    if (isOver(pass) || pass.toReplay !== left || pass.quiescence.level !== level) {
      return resume(Effect.void)
    }
    pass.onProgress = () => resume(Effect.void)
    return Effect.sync(() => {
      pass.onProgress = undefined
    })
  })
