/** Two stores on one database whose executors take runs of one queue. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { turn } from "../../internal/Turn.js"
import type { ClaimedRun, RunStore } from "../../store/RunStore.js"
import { aRun } from "../Acts.js"
import type { Pair } from "./Interleavings.js"

type Store = RunStore["Type"]

interface Size {
  readonly runs: number
  readonly keys: number
  readonly limits: { readonly concurrency: number; readonly perKey: number }
  /** Claimed at a time, and started at a time. */
  readonly atOnce: number
  /** How often a run that is under way waits, and does not end, of 1. */
  readonly waits: number
}

/** What is under way, as those see it who execute it: from the claim's answer until before its end. */
const watched = (keyOf: (runId: string) => string) => {
  const underWay = new Map<string, number>()
  const most = { all: 0, perKey: 0 }
  let all = 0
  const add = (runId: string, by: number) => {
    const key = keyOf(runId)
    const ofKey = (underWay.get(key) ?? 0) + by
    underWay.set(key, ofKey)
    all += by
    most.all = Math.max(most.all, all)
    most.perKey = Math.max(most.perKey, ofKey)
  }
  return { begins: (runId: string) => add(runId, 1), ends: (runId: string) => add(runId, -1), most }
}

const neverTooMany = (pair: Pair, { atOnce, keys, limits, runs, waits }: Size) =>
  Effect.gen(function* () {
    const [one, two] = yield* pair
    const keyOf = (runId: string) => `${Number(runId) % keys}`
    const { begins, ends, most } = watched(keyOf)
    const done = new Set<string>()
    const queueOf = (runId: string) => ({ name: "shared", key: keyOf(runId), limits })

    /** It ends, or waits for a moment and goes on in its turn. */
    const execute = (store: Store, { held, history }: ClaimedRun) =>
      Effect.gen(function* () {
        const turns = yield* Random.nextIntBetween(0, 4)
        for (let taken = 0; taken < turns; taken++) yield* turn
        ends(held.runId)
        if ((yield* Random.next) >= waits) {
          yield* store.complete({ held, status: "completed", exit: "1" })
          done.add(held.runId)
          return
        }
        const { wakeups } = history
        const suspension = { held, wakeups, timers: [], wakeAt: undefined, cause: undefined }
        yield* store.suspend(suspension)
        yield* store.wake(held.runId)
      })

    const executor = (store: Store) =>
      Effect.gen(function* () {
        const leaseMillis = 60 * 60 * 1_000
        const executor = yield* store.register({ host: "here", pid: 42, leaseMillis })
        while (done.size < runs) {
          const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: atOnce })
          for (const { held } of claimed) begins(held.runId)
          yield* Effect.forEach(claimed, (run) => execute(store, run), {
            concurrency: "unbounded"
          })
          yield* turn
        }
      })

    const starts = (store: Store, from: number) =>
      Effect.forEach(
        Array.from({ length: runs / 2 }, (_, n) => `${from + n}`),
        (runId) => store.create(aRun(runId, { queue: queueOf(runId) })),
        { concurrency: 4 * atOnce, discard: true }
      )

    yield* Effect.all([starts(one, 0), starts(two, runs / 2), executor(one), executor(two)], {
      concurrency: "unbounded"
    })
    expect(done.size).toBe(runs)
    expect(most.all).toBeLessThanOrEqual(limits.concurrency)
    expect(most.perKey).toBeLessThanOrEqual(limits.perKey)
    // it could have been fewer by accident alone
    expect(most.all).toBeGreaterThan(1)
    const [queue] = yield* one.queues
    expect(queue).toMatchObject({ running: 0, waiting: 0 })
  })

export const queueInterleavings = (pair: Pair) => {
  it.scopedLive("give no more slots of a queue than there are, and each run has its turn", () =>
    neverTooMany(pair, {
      runs: 240,
      keys: 8,
      limits: { concurrency: 7, perKey: 2 },
      atOnce: 5,
      waits: 0.5
    })
  )

  it.scopedLive(
    "have no more of 10,000 runs under way than they may",
    () =>
      neverTooMany(pair, {
        runs: 10_000,
        keys: 40,
        limits: { concurrency: 150, perKey: 6 },
        atOnce: 100,
        waits: 0.1
      }),
    300_000
  )
}
