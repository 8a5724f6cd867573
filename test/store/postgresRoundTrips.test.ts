/** How often the database is asked: each time is the way there and back. In real time, by way of a proxy. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Held, RunLost, RunStoreError } from "../../src/store/RunStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aStep, begin } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"
import * as Proxy from "../support/Proxy.js"

const runs = Array.from({ length: 100 }, (_, n) => `run-${n}`)

const registered = (store: RunStore["Type"]) =>
  store.register({ host: "here", pid: 42, leaseMillis: 60_000 })

/** All that may be claimed of what an executor had that has died. */
const takenFrom = (store: RunStore["Type"], dead: number) =>
  Effect.gen(function* () {
    const executor = yield* registered(store)
    yield* store.takeOver({ by: executor, dead: [dead], limit: 500 })
    const claimed = yield* store.claim({ executor, workflows: ["Order"], limit: 500 })
    return { executor, claimed }
  })

/** A store with runs whose executor has died, and that another has claimed since. */
const claimedAgain = Effect.gen(function* () {
  const { schema, url } = yield* Postgres.database
  const proxy = yield* Proxy.make(Redacted.value(url))
  const store = yield* Postgres.open({ url: Redacted.make(proxy.url), schema })
  const dead = yield* registered(store)
  yield* Effect.forEach(runs, (runId) => begin(dead, runId), { concurrency: "unbounded" }).pipe(
    Effect.provideService(RunStore, store)
  )
  return { proxy, store, ...(yield* takenFrom(store, dead)) }
})

/** What is written of each, and what is known of them when this executor has died, too. */
const kinds = {
  "that they wait for room": {
    write: (store: RunStore["Type"], held: Held) => store.waitsForRoom(held),
    after: runs.map(() => ({ count: 1, steps: [] }))
  },
  "the step that they begin": {
    write: (store: RunStore["Type"], held: Held) =>
      store.noteStep({ ...aStep(held), status: "running", completedAt: undefined }),
    // it may have been any of them: they are suspects, which wait for their turn
    after: []
  },
  "that they have got somewhere": {
    write: (store: RunStore["Type"], held: Held) => store.progressed(held),
    after: runs.map(() => ({ count: 1, steps: [] }))
  }
}

describe("runs whose executor has died, as many as there are, ask the database a few times to note", () => {
  for (const [what, { after, write }] of Object.entries(kinds)) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const { claimed, executor, proxy, store } = yield* claimedAgain
        expect(claimed.map(({ crashes }) => crashes)).toEqual(
          runs.map(() => ({ count: 1, steps: [] }))
        )
        const before = proxy.asked()
        yield* Effect.forEach(
          claimed,
          ({ held }): Effect.Effect<void, RunStoreError | RunLost> => write(store, held),
          { concurrency: "unbounded" }
        )
        // one goes first, and then all others; beside them other executors are looked at
        expect(proxy.asked() - before).toBeLessThan(20)
        const { claimed: again } = yield* takenFrom(store, executor)
        expect(again.map(({ crashes }) => crashes)).toEqual(after)
      })
    )
  }
})

describe("a hand-over asks the database a few times", () => {
  it.scopedLive("however many runs there are, with steps, signals and timers", () =>
    Effect.gen(function* () {
      const { schema, url } = yield* Postgres.database
      const proxy = yield* Proxy.make(Redacted.value(url))
      const store = yield* Postgres.open({ url: Redacted.make(proxy.url), schema })
      const leaves = yield* registered(store)
      const held = yield* Effect.forEach(runs, (runId) => begin(leaves, runId)).pipe(
        Effect.map((claimed) => claimed.map(({ held }) => held)),
        Effect.provideService(RunStore, store)
      )
      const timers = [{ name: "later", wakeAt: 9e12 }]
      yield* Effect.forEach(held, (held) => store.recordStep(aStep(held, { timers })))
      yield* store.signal({ runId: "run-7", name: "go", exit: "1" })
      const stays = yield* registered(store)

      const before = proxy.asked()
      yield* store.release(held.map((held) => ({ held, timers: [] })))
      const claimed = yield* store.claim({ executor: stays, workflows: ["Order"], limit: 500 })
      // begun, released, committed; begun, claimed, committed, read; beside them other executors are looked at
      expect(proxy.asked() - before).toBeLessThan(10)

      expect(claimed.map(({ held }) => held.runId)).toEqual(runs)
      for (const { history } of claimed) {
        expect(history.steps).toEqual([{ name: "charge", attempt: 1, exit: `"charged"` }])
        expect(history.timers).toEqual([{ name: "later", wakeAt: 9e12, fired: false }])
      }
      expect(claimed[7]?.history.signals).toEqual([{ name: "go", exit: "1" }])
    })
  )
})
