/**
 * What a serial store cannot show: two stores on one database, as two executors have them, whose
 * writes meet. Each decision that `Journal.ts` names is made many times over, by both at once.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { turn } from "../../internal/Turn.js"
import type { ClaimedRun, RunLost, RunStore, RunStoreError } from "../../store/RunStore.js"
import { isFinal } from "../../store/RunStore.js"
import { aRun, aStep } from "../Acts.js"
import { arrivalInterleavings } from "./ArrivalInterleavings.js"
import { bulkInterleavings } from "./Bulk.js"
import { queueInterleavings } from "./QueueInterleavings.js"
import { foundSchedule, putSchedule, startRuns } from "./Schedules.js"

type Store = RunStore["Type"]

/** Opens two stores on one empty database of their own. */
export type Pair = Effect.Effect<readonly [Store, Store], RunStoreError, Scope.Scope>

const rounds = 15
const runsOfRound = 10

/** A pair with an executor of each. */
interface Both {
  readonly one: Store
  readonly two: Store
  readonly first: number
  readonly second: number
}

/** Nobody renews it, however long the tests take. */
const leaseMillis = 60 * 60 * 1_000

const registered = (store: Store) => store.register({ host: "here", pid: 42, leaseMillis })

const open = (pair: Pair): Effect.Effect<Both, RunStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const [one, two] = yield* pair
    return { one, two, first: yield* registered(one), second: yield* registered(two) }
  })

/** A few turns later, so that the two meet in another place each time. */
const later = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const turns = yield* Random.nextIntBetween(0, 6)
    for (let taken = 0; taken < turns; taken++) yield* turn
    return yield* effect
  })

const atOnce = <A, B, E1, E2>(one: Effect.Effect<A, E1>, two: Effect.Effect<B, E2>) =>
  Effect.all([later(one), later(two)], { concurrency: "unbounded" })

/** Rounds after each other, of several runs at once. */
const inRounds = <E>(round: (runId: string) => Effect.Effect<unknown, E>): Effect.Effect<void, E> =>
  Effect.forEach(
    Array.from({ length: rounds }),
    (_, i) =>
      Effect.forEach(Array.from({ length: runsOfRound }), (_, j) => round(`run ${i}.${j}`), {
        concurrency: "unbounded"
      }),
    { discard: true }
  )

const begin = (store: Store, executor: number, runId: string, parent?: string) =>
  Effect.flatMap(
    store.create(
      aRun(runId, parent === undefined ? {} : { parent: { runId: parent, awaits: true } }),
      executor
    ),
    ({ claimed }) =>
      claimed === undefined
        ? Effect.dieMessage(`${runId} was not claimed`)
        : Effect.succeed(claimed)
  )

const statusOf = (store: Store, runId: string) =>
  Effect.map(store.find(runId), (run) => Option.getOrUndefined(run)?.status)

const suspension = ({ held, history }: ClaimedRun) => ({
  held,
  wakeups: history.wakeups,
  timers: [],
  wakeAt: undefined,
  cause: undefined
})

/** Whether it was done; if not, its run was lost. */
const isDone = <A>(write: Effect.Effect<A, RunStoreError | RunLost>) =>
  write.pipe(
    Effect.as(true),
    Effect.catchTag("RunLost", () => Effect.succeed(false))
  )

const creation = (pair: Pair) => {
  it.scopedLive("of a run by both creates it once", () =>
    Effect.gen(function* () {
      const { first, one, second, two } = yield* open(pair)
      yield* inRounds((runId) =>
        Effect.gen(function* () {
          const answers = yield* atOnce(
            one.create(aRun(runId), first),
            two.create(aRun(runId), second)
          )
          expect(answers.filter(({ created }) => created)).toHaveLength(1)
          expect(answers.filter(({ claimed }) => claimed !== undefined)).toHaveLength(1)
        })
      )
    })
  )

  for (const how of ["claimed at once", "claimed later"]) {
    it.scopedLive(`of a run that is ${how}, beside a signal for it, loses no signal`, () =>
      Effect.gen(function* () {
        const { first, one, two } = yield* open(pair)
        const executor = how === "claimed at once" ? first : undefined
        const claimed = new Map<string, ClaimedRun>()
        yield* inRounds((runId) =>
          Effect.gen(function* () {
            const [created] = yield* atOnce(
              one.create(aRun(runId), executor),
              two.signal({ runId, name: "paid", exit: "1" })
            )
            if (executor !== undefined && created.claimed !== undefined) {
              claimed.set(runId, created.claimed)
            }
          })
        )
        if (executor === undefined) {
          const runs = yield* one.claim({ executor: first, workflows: ["Order"], limit: 1_000 })
          for (const run of runs) claimed.set(run.held.runId, run)
        }
        expect(claimed.size).toBe(rounds * runsOfRound)
        for (const run of claimed.values()) {
          // told in its history, or by the wake-up that its suspension meets
          const known = run.history.signals.length > 0
          const woken = known ? run.history : Option.getOrNull(yield* one.suspend(suspension(run)))
          expect(woken?.signals).toEqual([{ name: "paid", exit: "1" }])
        }
      })
    )
  }
}

const wakeUps: Record<
  string,
  (two: Store, runId: string, child: ClaimedRun) => Effect.Effect<unknown, RunStoreError | RunLost>
> = {
  "a signal": (two, runId) => two.signal({ runId, name: "paid", exit: "1" }),
  "a resumption": (two, runId) => two.wake(runId),
  "an interrupt": (two, runId) => two.requestInterrupt(runId),
  "the end of its child": (two, _, { held }) =>
    two.complete({ held, status: "completed", exit: "1" }),
  "the end of its child by force": (two, _, { held }) =>
    two.terminate({ runId: held.runId, exit: "1", children: false })
}

const suspending = (pair: Pair) => {
  for (const [what, wakeUp] of Object.entries(wakeUps)) {
    for (const keep of [false, true]) {
      it.scopedLive(`of a run${keep ? " that is kept" : ""}, beside ${what}, loses none`, () =>
        Effect.gen(function* () {
          const { first, one, second, two } = yield* open(pair)
          yield* inRounds((runId) =>
            Effect.gen(function* () {
              const run = yield* begin(one, first, runId)
              const child = yield* begin(two, second, `child of ${runId}`, runId)
              const [suspended] = yield* atOnce(
                one.suspend({ ...suspension(run), keep }),
                wakeUp(two, runId, child)
              )
              const status = yield* statusOf(one, runId)
              // it was told, and goes on; or it was woken
              const goesOn = keep || Option.isSome(suspended) ? "running" : "pending"
              expect(status).toBe(goesOn)
              if (Option.isSome(suspended)) expect(suspended.value.wakeups).toBe(1)
            })
          )
        })
      )
    }
  }

  it.scopedLive("of a run, beside its timer that is due, leaves none asleep", () =>
    Effect.gen(function* () {
      const { first, one, two } = yield* open(pair)
      yield* inRounds((runId) =>
        Effect.gen(function* () {
          const run = yield* begin(one, first, runId)
          const timers = [{ name: "t", wakeAt: 1 }]
          yield* atOnce(
            one.suspend({ ...suspension(run), timers, wakeAt: 1 }),
            Effect.zipRight(one.wakeDue(100), two.wakeDue(100))
          )
        })
      )
      while ((yield* two.wakeDue(100)) > 0) yield* turn
      expect((yield* one.counts).suspended).toBe(0)
      expect(yield* one.nextWakeAt).toEqual(Option.none())
    })
  )
}

const claiming = (pair: Pair) => {
  it.scopedLive("claim no run twice, and leave none", () =>
    Effect.gen(function* () {
      const { first, one, second, two } = yield* open(pair)
      yield* inRounds((runId) => one.create(aRun(runId)))
      const claimed: Array<string> = []
      const claimAll = (store: Store, executor: number) =>
        Effect.gen(function* () {
          let left = true
          while (left) {
            const runs = yield* store.claim({ executor, workflows: ["Order"], limit: 7 })
            claimed.push(...runs.map(({ held }) => held.runId))
            expect(runs.every(({ held }) => held.claim === 1)).toBe(true)
            // what the other is just claiming is left out; it may give it back
            left = (yield* store.counts).pending > 0
          }
        })
      yield* Effect.all([claimAll(one, first), claimAll(two, second)], {
        concurrency: "unbounded"
      })
      expect(claimed).toHaveLength(rounds * runsOfRound)
      expect(new Set(claimed).size).toBe(rounds * runsOfRound)
    })
  )
}

/** Takes all of the executor's runs over, however often that has to be asked for. */
const takeAllOver = (store: Store, by: number, dead: number) =>
  Effect.gen(function* () {
    const options = { by, limit: 100, dead: [dead], maxCrashes: Number.POSITIVE_INFINITY }
    while ((yield* store.executors).some(({ id }) => id === dead)) yield* store.takeOver(options)
  })

const takingOver = (pair: Pair) => {
  it.scopedLive("take runs over beside steps: each is recorded before, or refused after", () =>
    Effect.gen(function* () {
      const { one, second, two } = yield* open(pair)
      for (let round = 0; round < rounds; round++) {
        const dies = yield* registered(one)
        const runs = yield* Effect.forEach(Array.from({ length: runsOfRound }), (_, i) =>
          begin(one, dies, `run ${round}.${i}`)
        )
        const [recorded, taken] = yield* atOnce(
          Effect.forEach(runs, ({ held }) => isDone(later(one.recordStep(aStep(held)))), {
            concurrency: "unbounded"
          }),
          Effect.zipRight(
            takeAllOver(two, second, dies),
            two.claim({ executor: second, workflows: ["Order"], limit: 1_000 })
          )
        )
        const steps = new Map(taken.map(({ held, history }) => [held.runId, history.steps.length]))
        expect(runs.map(({ held }) => steps.get(held.runId))).toEqual(
          recorded.map((was) => (was ? 1 : 0))
        )
      }
    })
  )

  it.scopedLive("take runs over beside their ends: each is over, or taken", () =>
    Effect.gen(function* () {
      const { one, second, two } = yield* open(pair)
      for (let round = 0; round < rounds; round++) {
        const dies = yield* registered(one)
        const runs = yield* Effect.forEach(Array.from({ length: runsOfRound }), (_, i) =>
          begin(one, dies, `run ${round}.${i}`)
        )
        const [ended] = yield* atOnce(
          Effect.forEach(
            runs,
            ({ held }) => isDone(later(one.complete({ held, status: "completed", exit: "1" }))),
            { concurrency: "unbounded" }
          ),
          takeAllOver(two, second, dies)
        )
        const statuses = yield* Effect.forEach(runs, ({ held }) => statusOf(two, held.runId))
        expect(statuses).toEqual(ended.map((was) => (was ? "completed" : "pending")))
        yield* two.claim({ executor: second, workflows: ["Order"], limit: 1_000 })
      }
    })
  )
}

const ending = (pair: Pair) => {
  it.scopedLive("end a run by force beside its own end: it has one of them", () =>
    Effect.gen(function* () {
      const { first, one, two } = yield* open(pair)
      yield* inRounds((runId) =>
        Effect.gen(function* () {
          const { held } = yield* begin(one, first, runId)
          const [ended, terminated] = yield* atOnce(
            isDone(one.complete({ held, status: "completed", exit: "1" })),
            two.terminate({ runId, exit: "2", children: false })
          )
          expect([ended, terminated._tag]).toEqual(ended ? [true, "Refused"] : [false, "Done"])
          const run = yield* one.find(runId)
          expect(Option.map(run, ({ exit }) => exit)).toEqual(Option.some(ended ? "1" : "2"))
        })
      )
    })
  )
}

const finished = (pair: Pair) => {
  const failed = (store: Store, executor: number, runId: string) =>
    Effect.flatMap(begin(store, executor, runId), ({ held }) =>
      store.complete({ held, status: "failed", exit: "0" })
    )

  it.scopedLive("start a run beside its removal: it is there, or created anew", () =>
    Effect.gen(function* () {
      const { first, one, second, two } = yield* open(pair)
      yield* inRounds((runId) =>
        Effect.gen(function* () {
          yield* begin(one, first, `parent of ${runId}`)
          yield* failed(one, first, runId)
          const parent = { runId: `parent of ${runId}`, awaits: true }
          const [created, removed] = yield* atOnce(
            two.create(aRun(runId, { parent }), second),
            one.remove(runId)
          )
          expect(removed._tag).toBe(created.created ? "Done" : "Refused")
          expect(yield* statusOf(one, runId)).toBe(created.created ? "running" : "failed")
        })
      )
    })
  )

  it.scopedLive("start runs beside retention: each is there, or created anew", () =>
    Effect.gen(function* () {
      const { first, one, second, two } = yield* open(pair)
      yield* inRounds((runId) =>
        Effect.gen(function* () {
          yield* begin(one, first, `parent of ${runId}`)
          yield* failed(one, first, runId)
          const parent = { runId: `parent of ${runId}`, awaits: true }
          const [created] = yield* atOnce(
            two.create(aRun(runId, { parent }), second),
            one.prune({ keep: 0, limit: 5 })
          )
          expect(yield* statusOf(one, runId)).toBe(created.created ? "running" : "failed")
        })
      )
    })
  )

  it.scopedLive(
    "start a run beside its retry: its starter waits for it, or it is not retried",
    () =>
      Effect.gen(function* () {
        const { first, one, second, two } = yield* open(pair)
        yield* inRounds((runId) =>
          Effect.gen(function* () {
            yield* begin(one, first, `parent of ${runId}`)
            yield* failed(one, first, runId)
            const parent = { runId: `parent of ${runId}`, awaits: true }
            const [created, retried] = yield* atOnce(
              two.create(aRun(runId, { parent }), second),
              one.retry({ runId })
            )
            // a starter that was told of a failure goes on from it
            expect(isFinal(created.run.status)).toBe(retried._tag === "Refused")
          })
        )
      })
  )
}

const scheduling = (pair: Pair) => {
  /** One executor's way with a tick that is due: it looks, decides, and writes. */
  const decide = (store: Store, name: string, tick: number) =>
    Effect.gen(function* () {
      const found = yield* later(foundSchedule(store, name))
      if (found.schedule.decidedTo >= tick) return 0
      const runs = yield* later(
        startRuns(store, found, [`${name}/${tick}`], { decidedTo: tick, lastStarted: tick })
      )
      return Option.isSome(runs) ? 1 : 0
    })

  it.scopedLive("start a tick at once: one of them has started it, and nothing twice", () =>
    Effect.gen(function* () {
      const { first, one, two } = yield* open(pair)
      const ticks = 3
      yield* inRounds((name) =>
        Effect.gen(function* () {
          yield* putSchedule(one, name)
          for (let tick = 10; tick < 10 + ticks; tick++) {
            const [a, b] = yield* atOnce(decide(one, name, tick), decide(two, name, tick))
            expect(a + b).toBe(1)
          }
          const { schedule } = yield* foundSchedule(two, name)
          expect([schedule.started, schedule.decidedTo]).toEqual([ticks, 9 + ticks])
        })
      )
      const claimed = yield* one.claim({ executor: first, workflows: ["Order"], limit: 1_000 })
      expect(claimed).toHaveLength(rounds * runsOfRound * ticks)
    })
  )

  it.scopedLive(
    "start a tick beside a change of the schedule: both are seen, or neither is lost",
    () =>
      Effect.gen(function* () {
        const { one, two } = yield* open(pair)
        yield* inRounds((name) =>
          Effect.gen(function* () {
            yield* putSchedule(one, name)
            const pause = Effect.gen(function* () {
              let written = false
              while (!written) {
                const found = yield* foundSchedule(two, name)
                const runs = yield* later(startRuns(two, found, [], { paused: true }))
                written = Option.isSome(runs)
              }
            })
            const [started] = yield* atOnce(decide(one, name, 10), pause)
            const { schedule } = yield* foundSchedule(one, name)
            expect([schedule.paused, schedule.started]).toEqual([true, started])
            expect(Option.isSome(yield* two.find(`${name}/10`))).toBe(started === 1)
          })
        )
      })
  )

  it.scopedLive("start a tick beside the schedule's removal: not after it", () =>
    Effect.gen(function* () {
      const { one, two } = yield* open(pair)
      yield* inRounds((name) =>
        Effect.gen(function* () {
          yield* putSchedule(one, name)
          const found = yield* foundSchedule(one, name)
          const [started, removed] = yield* atOnce(
            startRuns(one, found, [`${name}/10`]),
            two.removeSchedule(name)
          )
          expect(removed).toBe(true)
          expect(Option.isSome(yield* two.find(`${name}/10`))).toBe(Option.isSome(started))
          expect(Option.isNone(yield* one.findSchedule(name))).toBe(true)
        })
      )
    })
  )
}

export const interleavings = (pair: Pair) => {
  describe("two stores on one database", () => {
    creation(pair)
    suspending(pair)
    claiming(pair)
    takingOver(pair)
    ending(pair)
    finished(pair)
    queueInterleavings(pair)
    arrivalInterleavings(pair)
    scheduling(pair)
    bulkInterleavings(pair)
  })
}
