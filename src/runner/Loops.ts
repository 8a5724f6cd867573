/**
 * What a Runner does all the time: claims runs, keeps its lease, wakes runs whose timer is due,
 * removes old ones.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import type { Lease } from "../engine/held/Lease.js"
import { RunnerConfig } from "../engine/RunnerConfig.js"
import { firstOf } from "../internal/FirstOf.js"
import * as KeepGoing from "../internal/KeepGoing.js"
import * as Machine from "../internal/Machine.js"
import { turn } from "../internal/Turn.js"
import { RunStore, type RunStoreError } from "../store/RunStore.js"
import * as Metrics from "../telemetry/Metrics.js"
import type { Nudge } from "./Nudges.js"

/** At most so many runs are woken or taken over in one transaction. */
const batch = 200

/** At most so many are claimed in one transaction, and begin in the same turn of the event loop. */
const claimBatch = 64

/** Their histories are read in one turn: about so many bytes, or one run. */
const claimBytes = 4 * 1024 * 1024

/** setTimeout's limit. */
const maxSleepMillis = 2 ** 31 - 1

/** Claims runs whenever there is something to claim and room for it. */
export const claims = (executor: () => number) =>
  Effect.gen(function* () {
    const { begin, registry, room } = yield* Dispatcher
    const store = yield* RunStore
    const { maxRunSize: maxRunBytes } = yield* RunnerConfig
    const claim =
      (workflows: ReadonlyArray<string>) => (limit: number, nothingWaits: () => void) => {
        const maxBytes = Math.min(claimBytes, room.bytes())
        const claiming = { executor: executor(), workflows, limit, maxBytes, maxRunBytes }
        return Effect.flatMap(store.claim(claiming), (claimed) => {
          const bytes = claimed.reduce((sum, run) => sum + run.bytes, 0)
          if (claimed.length === limit || bytes >= maxBytes) room.wanted.unsafeOpen()
          else nothingWaits()
          return begin(claimed)
        })
      }
    const claims = Effect.suspend(() => {
      room.wanted.unsafeClose()
      const workflows = registry.names()
      if (workflows.length === 0) return Effect.void
      return room.reserve(claimBatch, claim(workflows))
    })
    const round = Effect.zipRight(
      room.wanted.await,
      claims.pipe(
        // claimed is begun, or given back; and what comes after it was read is told when it is begun
        Effect.withMaxOpsBeforeYield(Number.POSITIVE_INFINITY),
        Effect.uninterruptible,
        Effect.tapErrorCause(() => Effect.sync(() => room.wanted.unsafeOpen()))
      )
    )
    return yield* KeepGoing.forever("claiming runs", round)
  })

/**
 * Keeps this executor's lease, and takes over from those whose lease has lapsed, and at once from
 * those of this machine whose process is gone.
 */
export const leases = (options: {
  readonly executor: () => number
  /** What to do when this executor's lease has lapsed and another has taken over. */
  readonly reregister: Effect.Effect<void, RunStoreError>
  /** What to do when the store is gone for good; nothing is renewed after that. */
  readonly onGone: (error: RunStoreError) => Effect.Effect<unknown>
  readonly timers: Effect.Latch
  readonly schedules: Effect.Latch
}) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const { lease } = dispatcher
    const store = yield* RunStore
    const { leaseDuration, maxCrashes } = yield* RunnerConfig
    const leaseMillis = Duration.toMillis(leaseDuration)
    const warnOfUnknown = yield* warnOfUnknownWorkflows
    const tick = Effect.gen(function* () {
      const state = yield* SubscriptionRef.get(dispatcher.state)
      lease.wanted.unsafeClose()
      const asked = lease.now()
      const held = yield* Effect.tapError(
        store.renew(options.executor(), {
          leaseMillis,
          state: state === "draining" ? "draining" : "running"
        }),
        (error) =>
          error.reason === "gone"
            ? Effect.zipRight(options.onGone(error), Effect.never)
            : Effect.void
      )
      if (held) lease.granted(asked)
      else yield* options.reregister
      const dead = (yield* store.executors).filter(Machine.here.isDead).map(({ id }) => id)
      const found = dead.length > 0 ? "that has died" : "whose lease had lapsed"
      while (true) {
        const taken = yield* store.takeOver({
          by: options.executor(),
          limit: batch,
          dead,
          maxCrashes
        })
        if (taken > 0) {
          Metrics.tookOver(taken)
          yield* Effect.logWarning(`took over from an executor ${found}`).pipe(
            Effect.annotateLogs({ runs: taken })
          )
        }
        if (taken < batch) break
      }
      // the clock may have been moved: look at the timers again
      options.timers.unsafeOpen()
      options.schedules.unsafeOpen()
    })
    const between = Duration.millis(Math.min(leaseMillis / 3, maxSleepMillis))
    const warn = warnOfUnknown.pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("looking at pending runs failed", cause))
    )
    const pause = firstOf(Effect.sleep(between), lease.wanted.await)
    const round = Effect.all([tick, warn, pause], { discard: true })
    // a lease that is to lapse is not waited for
    return yield* KeepGoing.forever("renewing the lease", round, Duration.min(between, "1 second"))
  })

/** At most so many runs are removed in one transaction: each takes a tenth of a millisecond. */
const removals = 50

/** Removes part after part, and answers with how many there were. */
const inParts = (
  part: Effect.Effect<{ readonly removed: number; readonly more: boolean }, RunStoreError>
) =>
  Effect.gen(function* () {
    let removed = 0
    let more = true
    while (more) {
      const { more: further, removed: now } = yield* part
      removed += now
      more = further
      // whoever else wants to write comes in between
      yield* turn
    }
    return removed
  })

/** How often runs that were kept long enough are looked for. */
const betweenSweeps = Duration.minutes(1)

/** Removes runs that are over, once they are old or many enough; ends at once if none ever are. */
export const retention = Effect.gen(function* () {
  const store = yield* RunStore
  const { retention, retentionCount } = yield* RunnerConfig
  const kept = {
    olderThanMillis: Duration.isFinite(retention) ? Duration.toMillis(retention) : undefined,
    keep: Number.isFinite(retentionCount) ? retentionCount : undefined
  }
  if (kept.olderThanMillis === undefined && kept.keep === undefined) return
  const sweep = Effect.gen(function* () {
    const removed = yield* inParts(store.prune({ ...kept, limit: removals }))
    if (removed > 0) {
      yield* Effect.logDebug("old runs removed").pipe(Effect.annotateLogs({ runs: removed }))
    }
    yield* Effect.sleep(betweenSweeps)
  })
  yield* KeepGoing.forever("removing old runs", sweep)
})

/** The longest time between two looks at the signals without a run. */
const longestExpiry = Duration.days(1)

/** Forgets signals whose run never came; ends at once if none ever are. */
export const expiry = Effect.gen(function* () {
  const store = yield* RunStore
  const { signalRetention } = yield* RunnerConfig
  if (!Duration.isFinite(signalRetention)) return
  const olderThanMillis = Duration.toMillis(signalRetention)
  const between = Duration.clamp(signalRetention, {
    minimum: betweenSweeps,
    maximum: longestExpiry
  })
  const sweep = Effect.gen(function* () {
    const removed = yield* inParts(store.expire({ olderThanMillis, limit: removals }))
    if (removed > 0) {
      // somebody has sent them, and nobody has heard of them
      yield* Effect.logInfo("signals removed whose run did not come").pipe(
        Effect.annotateLogs({ signals: removed })
      )
    }
    yield* Effect.sleep(between)
  })
  yield* KeepGoing.forever("removing signals without a run", sweep)
})

/** Wakes runs whose timer is due. One fiber for all of them: sleeping runs are rows. */
export const timers = (latch: Effect.Latch) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const round = Effect.gen(function* () {
      latch.unsafeClose()
      const next = Option.getOrUndefined(yield* store.nextWakeAt)
      if (next === undefined) return yield* latch.await
      const remaining = next - (yield* Clock.currentTimeMillis)
      if (remaining <= 0) return yield* store.wakeDue(batch)
      const sleep = Effect.sleep(Duration.millis(Math.min(remaining, maxSleepMillis)))
      yield* firstOf(sleep, latch.await)
    })
    return yield* KeepGoing.forever("waking runs", round)
  })

/** Of a timer that is earlier than the one it sleeps for. */
export const nudgeTimers =
  (latch: Effect.Latch): Nudge =>
  ({ foreign, wakeAt }) => {
    if (foreign || wakeAt !== undefined) latch.unsafeOpen()
  }

/** Of executors that are gone. */
export const nudgeLeases =
  (lease: Lease): Nudge =>
  ({ lapsed }) => {
    if (lapsed === true) lease.wanted.unsafeOpen()
  }

/**
 * Pending runs of workflows that nobody registers here are left alone, and said so: once for each
 * workflow, and not at once, since workflows may be registered after the Runner has started.
 */
const warnOfUnknownWorkflows = Effect.gen(function* () {
  const { registry } = yield* Dispatcher
  const store = yield* RunStore
  const told = new Set<string>()
  let first = true
  return Effect.gen(function* () {
    if (first) {
      first = false
      return
    }
    const known = new Set(registry.names())
    const pending = yield* store.pendingWorkflows
    const unknown = pending.filter((name) => !known.has(name) && !told.has(name))
    if (unknown.length === 0) return
    for (const name of unknown) told.add(name)
    yield* Effect.logWarning("pending runs wait for workflows that are not registered here").pipe(
      Effect.annotateLogs({ workflows: unknown })
    )
  })
})
