/**
 * Where the pass of a run ends whose interrupt was asked for: at the end of what is recorded. It is
 * interrupted there, and the place is written down.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { RunStore } from "../RunStore.js"
import { type ActiveRun, interruptPoint } from "./ActiveRun.js"
import type { Persist } from "./Persist.js"
import { turn } from "./Turn.js"

interface Writing {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
}

/**
 * How long an interrupting pass may take over code of its own between two recorded steps: what it
 * would have come by later is not undone.
 */
const replayPatience = Duration.seconds(10)

/**
 * An interrupting pass ends where the record ends, in all branches of the workflow: each one waits,
 * asks for a step that is not recorded, or is in code of its own and there is nothing more to come
 * by. It shows in nothing happening for a few turns of the event loop.
 */
export const interruptAtEndOfRecord = (
  run: ActiveRun,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  options: Writing
) =>
  Effect.gen(function* () {
    while (true) {
      const progress = yield* untilQuiet(run)
      if (run.fiber !== fiber || run.closing) return
      if (!run.isReplaying()) break
      const more = yield* Effect.timeoutOption(progressAfter(run, progress), replayPatience)
      if (Option.isNone(more)) break
    }
    yield* keepInterruptPoint(run, options)
    if (run.fiber !== fiber || run.closing) return
    const { instance } = run
    if (instance === undefined) return
    instance.suspended = false
    instance.interrupted = true
    fiber.unsafeInterruptAsFork(fiber.id())
  }).pipe(Effect.interruptible)

const untilQuiet = (run: ActiveRun) =>
  Effect.gen(function* () {
    let before = -1
    let quiet = 0
    while (quiet < 5) {
      const now = run.progress + run.version
      quiet = before === now ? quiet + 1 : 0
      before = now
      yield* turn
    }
    return run.progress
  })

const progressAfter = (run: ActiveRun, progress: number) =>
  Effect.async<void>((resume) => {
    if (run.progress !== progress) return resume(Effect.void)
    run.onProgress = () => resume(Effect.void)
    return Effect.sync(() => {
      run.onProgress = undefined
    })
  })

/** Writes down where the interrupt takes hold, and passes it on to the children. */
const keepInterruptPoint = (run: ActiveRun, { persist, store }: Writing) =>
  Effect.gen(function* () {
    if (run.seen === undefined) {
      const seen = new Set(run.found)
      const signal = { runId: run.runId, name: interruptPoint, exit: JSON.stringify([...seen]) }
      if (yield* persist(store.signal(signal))) run.wakeups++
      run.seen ??= seen
    }
    const unfinished = [...run.children].filter(([, exit]) => exit === undefined)
    yield* Effect.forEach(unfinished, ([child]) => persist(store.requestInterrupt(child)), {
      concurrency: "unbounded",
      discard: true
    })
  }).pipe(
    Effect.catchAll((error) => Effect.logError("the interrupt was not written", Cause.fail(error)))
  )
