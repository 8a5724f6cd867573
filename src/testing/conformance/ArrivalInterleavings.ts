/** Two stores on one database that start runs of one key at once. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Arrival, RunStore } from "../../store/RunStore.js"
import { aRun } from "../Acts.js"
import type { Pair } from "./Interleavings.js"

type Store = RunStore["Type"]

const rounds = 30

const startIn = (store: Store, runId: string, key: string, arrival: Arrival) =>
  store.create(
    aRun(runId, { queue: { name: "mail", key, limits: { perKey: 1, keepsSlot: true }, arrival } })
  )

/** Both start one of the same key, in each round. */
const eachRound = (
  [one, two]: readonly [Store, Store],
  arrival: Arrival,
  check: (
    round: number,
    answers: ReadonlyArray<Effect.Effect.Success<ReturnType<Store["create"]>>>
  ) => Effect.Effect<void, unknown>
) =>
  Effect.forEach(
    Array.from({ length: rounds }, (_, round) => round),
    (round) =>
      Effect.flatMap(
        Effect.all(
          [
            startIn(one, `${round} a`, `${round}`, arrival),
            startIn(two, `${round} b`, `${round}`, arrival)
          ],
          { concurrency: "unbounded" }
        ),
        (answers) => check(round, answers)
      ),
    { concurrency: 5, discard: true }
  )

export const arrivalInterleavings = (pair: Pair) => {
  it.scopedLive("create one of two singletons, and answer the other with it", () =>
    Effect.gen(function* () {
      const stores = yield* pair
      yield* eachRound(stores, { singleton: "skip" }, (_, answers) =>
        Effect.sync(() => {
          expect(answers.map(({ created }) => created).sort()).toEqual([false, true])
          const [created] = answers.filter(({ created }) => created)
          const [skipped] = answers.filter(({ created }) => !created)
          expect(skipped).toMatchObject({ skipped: true, run: { runId: created?.run.runId } })
        })
      )
      expect((yield* stores[0].counts).pending).toBe(rounds)
    })
  )

  it.scopedLive("create both of two that cancel, and interrupt the one that was first", () =>
    Effect.gen(function* () {
      const stores = yield* pair
      yield* eachRound(stores, { singleton: "cancel" }, (round) =>
        Effect.gen(function* () {
          const found = yield* Effect.all([
            stores[0].find(`${round} a`),
            stores[1].find(`${round} b`)
          ])
          const interrupted = found.map((run) => Option.getOrThrow(run).interruptRequested)
          expect(interrupted.sort()).toEqual([false, true])
        })
      )
    })
  )

  it.scopedLive("leave one of two that are debounced", () =>
    Effect.gen(function* () {
      const stores = yield* pair
      yield* eachRound(stores, { debounce: { period: 60_000 } }, (round) =>
        Effect.gen(function* () {
          const found = yield* Effect.all([
            stores[0].find(`${round} a`),
            stores[1].find(`${round} b`)
          ])
          expect(found.filter(Option.isSome)).toHaveLength(1)
        })
      )
      expect((yield* stores[1].counts).pending).toBe(rounds)
    })
  )
}
