/** Two stores on one database whose executors take runs of one queue. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { turn } from "../../internal/Turn.js"
import type { ClaimedRun, RunStore } from "../../store/RunStore.js"
import { aRun } from "../Acts.js"
import type { Pair } from "./Interleavings.js"

type Store = RunStore["Type"]

const runs = 240
const keys = 8

const limits = { concurrency: 7, perKey: 2 }

const keyOf = (runId: string) => `${Number(runId) % keys}`

/** What is under way, as those see it who execute it: from the claim's answer until before its end. */
const watched = () => {
  const underWay = new Map<string, number>()
  const most = { all: 0, perKey: 0 }
  const count = () => [...underWay.values()].reduce((sum, one) => sum + one, 0)
  const add = (runId: string, by: number) => {
    const key = keyOf(runId)
    underWay.set(key, (underWay.get(key) ?? 0) + by)
    most.all = Math.max(most.all, count())
    most.perKey = Math.max(most.perKey, underWay.get(key) ?? 0)
  }
  return { begins: (runId: string) => add(runId, 1), ends: (runId: string) => add(runId, -1), most }
}

export const queueInterleavings = (pair: Pair) => {
  it.scopedLive("give no more slots of a queue than there are, and each run has its turn", () =>
    Effect.gen(function* () {
      const [one, two] = yield* pair
      const { begins, ends, most } = watched()
      const done = new Set<string>()
      const queueOf = (runId: string) => ({ name: "shared", key: keyOf(runId), limits })

      /** It ends, or waits for a moment and goes on in its turn. */
      const execute = (store: Store, { held, history }: ClaimedRun) =>
        Effect.gen(function* () {
          const turns = yield* Random.nextIntBetween(0, 4)
          for (let taken = 0; taken < turns; taken++) yield* turn
          ends(held.runId)
          if (yield* Random.nextBoolean) {
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
            const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 5 })
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
          { concurrency: 20, discard: true }
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
  )
}
