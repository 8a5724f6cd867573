/**
 * Suspends a run that is at rest, and goes on with it.
 *
 * A run that waits is `suspended` in the store, and stays in memory as long as there is room. While
 * it does a wake-up makes it `running` again under the same claim, and its pass goes on where it is.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { History, RunStore, Woken } from "../../store/RunStore.js"
import { blockCause } from "../../values/Codec.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import type { Persist, PersistError } from "../run/Persist.js"
import type { Driving } from "./Drive.js"
import * as Fibers from "./Fibers.js"
import type { Ending, Pass } from "./Pass.js"
import * as WaitingFor from "./WaitingFor.js"
import { choose, type WarmLimits, WarmRuns } from "./Warm.js"

export interface Suspend {
  /** How many runs wait in memory. */
  readonly size: () => number
  /** How many bytes of JSON they have. */
  readonly bytes: () => number
  /** The pass is at rest. */
  readonly suspend: (driving: Driving, pass: Pass) => void
  /** Its run is to be gone on with, and may be written to. */
  readonly activate: (driving: Driving) => Effect.Effect<void>
  /** The run was told something, which has been taken in. */
  readonly woken: (driving: Driving, woken: Woken) => void
  /** It is in memory no more. */
  readonly forget: (driving: Driving) => void
  /** Lets go of so many that wait in memory, those that will wait longest first. */
  readonly evict: (runs: ReadonlyArray<Driving>) => Effect.Effect<void>
  readonly all: () => ReadonlyArray<Driving>
}

export const make = (options: {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly clock: Clock.Clock
  readonly limits: WarmLimits
  readonly end: (driving: Driving, ending: Ending) => void
  /** A history was read that has news. */
  readonly load: (driving: Driving, history: History) => void
  /** Its pass is at rest all the same. */
  readonly again: (driving: Driving, pass: Pass) => void
  /** There is room for other runs. */
  readonly onRoom: () => void
  /** It goes on. */
  readonly onRunning: (run: ActiveRun) => void
}): Suspend => {
  const { clock, persist, store } = options
  const warm = new WarmRuns<Driving>(options.limits)
  /** Those who wait for a suspension to be written. */
  const listeners = new Map<ActiveRun, Array<() => void>>()

  const suspend = (driving: Driving, pass: Pass): void => {
    const { run } = driving
    if (run.isSuspended) return
    const now = clock.unsafeCurrentTimeMillis()
    const dueAt = pass.waits.nextDue()
    const choice = choose(dueAt, now, options.limits)
    if (choice === "stay") return
    const { wakeups } = run
    const timers = run.takeNewTimers()
    const keep = choice === "keep" && !run.yields
    const waitsFor = WaitingFor.describe(run, pass.waits, run.waitsFor)
    run.suspending = true
    const written = Effect.matchCause(
      persist(
        store.suspend({
          held: run.held,
          wakeups,
          timers,
          wakeAt: dueAt,
          cause: undefined,
          keep,
          waitsFor
        })
      ),
      {
        onFailure: (cause) => {
          run.returnTimers(timers)
          unsuspended(driving, cause)
        },
        onSuccess: Option.match({
          onNone: () => {
            run.waitsFor = waitsFor
            suspended(driving, pass, { wakeups, dueAt, keep })
          },
          onSome: (history) => {
            run.suspending = false
            options.load(driving, history)
            if (pass.quiescence.level === "rest") options.again(driving, pass)
          }
        })
      }
    ).pipe(Effect.tap(() => tellListeners(run)))
    Fibers.fork(Fibers.uninterruptible(driving.origin), Effect.zipRight(written, logged(driving)))
  }

  const logged = ({ run }: Driving) =>
    Effect.suspend(() => (run.isSuspended ? Effect.logDebug("run suspended") : Effect.void))

  const suspended = (
    driving: Driving,
    pass: Pass,
    wait: { readonly wakeups: number; readonly dueAt: number | undefined; readonly keep: boolean }
  ) => {
    const { run } = driving
    run.suspending = false
    run.crashes = 0
    if (!wait.keep) {
      run.suspendedAt = wait.wakeups
      return options.end(driving, { _tag: "evict" })
    }
    // what it was told after that has made it go on already
    if (run.wakeups > wait.wakeups || pass.ended !== undefined) return
    run.suspendedAt = wait.wakeups
    const since = clock.unsafeCurrentTimeMillis()
    warm.add(driving, { since, dueAt: wait.dueAt, bytes: run.bytes })
    const overdue = warm.overdue(since)
    if (overdue.length > 0) Fibers.fork(driving.origin, evict(overdue))
    options.onRoom()
  }

  const unsuspended = (driving: Driving, cause: Cause.Cause<PersistError>) => {
    driving.run.suspending = false
    const error = Option.getOrUndefined(Cause.failureOption(cause))
    options.end(driving, endingOf(driving.run, error))
  }

  const tellListeners = (run: ActiveRun) =>
    Effect.sync(() => {
      const waiting = listeners.get(run)
      listeners.delete(run)
      for (const tell of waiting ?? []) tell()
    })

  const whenWritten = (run: ActiveRun) =>
    Effect.async<void>((resume) => {
      if (!run.suspending) return resume(Effect.void)
      const tell = () => resume(Effect.void)
      listeners.set(run, [...(listeners.get(run) ?? []), tell])
    })

  const goOn = (driving: Driving) => {
    const { run } = driving
    if (run.suspendedAt === undefined) return
    run.suspendedAt = undefined
    warm.delete(driving)
    options.onRunning(run)
  }

  const activate = (driving: Driving): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { run } = driving
      if (run.suspending) return Effect.zipRight(whenWritten(run), activate(driving))
      if (run.suspendedAt === undefined) return Effect.void
      return Effect.matchEffect(persist(store.proceed(run.held)), {
        onSuccess: () =>
          Effect.sync(() => {
            goOn(driving)
            // their alarms did nothing while it was suspended
            driving.pass?.waits.tellSleepers()
          }),
        onFailure: (error) => Effect.sync(() => options.end(driving, endingOf(driving.run, error)))
      })
    })

  const woken = (driving: Driving, { at, claim, over, wakeups }: Woken) => {
    const { pass, run } = driving
    if (over === true && claim > run.held.claim) run.terminated = true
    if (pass?.ended !== undefined) return
    if (claim > run.held.claim) return options.end(driving, { _tag: "lost" })
    if (claim < run.held.claim) return
    // all that came before is known, and so is this
    if (wakeups === run.wakeups + 1) run.wakeups = wakeups
    if (run.suspendedAt === undefined || wakeups <= run.suspendedAt) return
    goOn(driving)
    for (const timer of run.timers.values()) if (timer.wakeAt <= at) timer.fired = true
    pass?.waits.tellSleepers()
    // what it was told may be nothing that it waits for
    if (pass?.fiber !== undefined) pass.quiescence.tellAgain(pass.fiber)
  }

  const evict = (runs: ReadonlyArray<Driving>): Effect.Effect<void> =>
    Effect.gen(function* () {
      const waiting = runs.filter(({ run }) => run.suspendedAt !== undefined)
      if (waiting.length === 0) return
      for (const driving of waiting) warm.delete(driving)
      const evicted = yield* persist(store.evict(waiting.map(({ run }) => run.held)))
      for (const [index, driving] of waiting.entries()) {
        if (evicted[index] === true) options.end(driving, { _tag: "evict" })
      }
    }).pipe(Effect.catchAllCause((cause) => Effect.logWarning("runs stay in memory", cause)))

  return {
    size: () => warm.size,
    bytes: () => warm.bytes,
    suspend,
    activate,
    woken,
    forget: (driving) => void warm.delete(driving),
    evict,
    all: () => warm.runs()
  }
}

/** How the pass of a run ends whose state cannot be written. */
const endingOf = ({ runId, workflowName }: ActiveRun, error: PersistError | undefined): Ending => {
  switch (error?._tag) {
    case "RunLost":
      return { _tag: "lost" }
    case "WriteRefused": {
      const message = `the state of run ${runId} of workflow "${workflowName}" cannot be written: ${error.message}`
      return { _tag: "block", cause: blockCause(message) }
    }
    default:
      // a store that does not answer when this process stops: its run follows when the lease lapses
      return { _tag: "park" }
  }
}
