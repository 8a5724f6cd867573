/**
 * A server that takes another's place without its last commits, and gives the numbers that were in them
 * out again. In real time, with two servers of the test's own.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { ClaimedRun, Held, RunLost, RunStoreError } from "../../src/store/RunStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { aRun, aStep, begin, claimOne } from "../../src/testing/Acts.js"
import { writesOfHolder } from "../../src/testing/conformance/Fencing.js"
import * as Postgres from "../support/Postgres.js"
import { startReplicated } from "../support/PostgresServer.js"
import * as Proxy from "../support/Proxy.js"

const leaseMillis = 60_000

/** Two stores on a server, and what puts another in its place that has fallen behind before. */
const overtaken = Effect.gen(function* () {
  const { fallBehind, primary, promote, standby } = yield* Effect.acquireRelease(
    Effect.promise(() => startReplicated({ synchronous: false })),
    ({ primary, standby }) =>
      Effect.promise(async () => {
        await standby.stop()
        await primary.stop()
      })
  )
  const proxy = yield* Proxy.make(primary.url)
  const open = Postgres.open({ url: Redacted.make(proxy.url) })
  const [ours, theirs] = yield* Effect.all([open, open])
  return {
    ours,
    theirs,
    fallBehind: Effect.promise(fallBehind),
    failOver: Effect.gen(function* () {
      yield* Effect.promise(primary.crash)
      yield* Effect.promise(promote)
      proxy.moveTo(standby.url)
      yield* again(ours.available)
      yield* again(theirs.available)
    })
  }
})

/** Over connections that are made anew. */
const again = <A, E extends RunStoreError>(effect: Effect.Effect<A, E>) =>
  Effect.retry(effect, Schedule.spaced("20 millis"))

const on =
  (store: RunStore["Type"]) =>
  <A, E>(effect: Effect.Effect<A, E, RunStore>): Effect.Effect<A, E> =>
    Effect.provideService(effect, RunStore, store)

const registered = (store: RunStore["Type"], pid: number) =>
  store.register({ host: "here", pid, leaseMillis })

const everything = (store: RunStore["Type"], runIds: ReadonlyArray<string>) =>
  Effect.all([
    Effect.forEach(runIds, (runId) => store.findWithSteps(runId)),
    Effect.map(store.list({ limit: 99 }), ({ runs }) => runs)
  ])

/** All that `stale` may try is refused, and changes nothing of these. */
const refusesAll = (
  store: RunStore["Type"],
  { held }: ClaimedRun,
  runIds: ReadonlyArray<string>,
  stale: ClaimedRun
) =>
  Effect.gen(function* () {
    // they differ in nothing that is counted
    expect([stale.held.key, stale.held.claim]).toEqual([held.key, held.claim])
    const before = yield* everything(store, runIds)
    for (const [name, write] of Object.entries(writesOfHolder)) {
      const error = yield* Effect.flip(on(store)(write(stale)))
      expect([name, error]).toMatchObject([name, { _tag: "RunLost", runId: stale.held.runId }])
    }
    expect(yield* store.release([{ held: stale.held, timers: [] }])).toBe(0)
    expect(yield* store.evict([stale.held])).toEqual([false])
    expect(yield* store.histories([stale.held])).toEqual([Option.none()])
    yield* store.sawWakeups([{ held: stale.held, wakeups: 9 }])
    const proceeding = yield* Effect.flip(store.proceed(stale.held))
    expect(proceeding._tag).toBe("RunLost")
    expect(yield* everything(store, runIds)).toEqual(before)
  })

/** So many that the server does not count on from where the other had come to. */
const many = 80

/** One of those that were lost has the same key, and was held as that one is. */
const twinOf = (lost: ReadonlyArray<ClaimedRun>, { held }: ClaimedRun) => {
  const twin = lost.find((run) => run.held.key === held.key)
  return twin === undefined ? Effect.dieMessage(`No run had ${held.key}`) : Effect.succeed(twin)
}

/** Suspends the run, which its holder keeps in memory. */
const keep = (store: RunStore["Type"], { held, history: { wakeups } }: ClaimedRun) =>
  store.suspend({
    held,
    wakeups,
    timers: [],
    wakeAt: undefined,
    cause: undefined,
    waitsFor: undefined,
    keep: true
  })

/** Runs that an executor has claimed, and after the failover another one of the same store. */
const heldTwice = (runIds: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { failOver, fallBehind, ours } = yield* overtaken
    const [us, them] = [yield* registered(ours, 1), yield* registered(ours, 2)]
    yield* Effect.forEach(runIds, (runId) => ours.create(aRun(runId)))
    yield* fallBehind
    const claimAll = (executor: number) =>
      ours.claim({ executor, workflows: ["Order"], limit: runIds.length })
    const lost = yield* claimAll(us)
    yield* failOver
    const claimed = yield* claimAll(them)
    const holdsOf = (runId: string) => {
      const [stale, good] = [lost, claimed].map((runs) =>
        runs.find(({ held }) => held.runId === runId)
      )
      if (stale === undefined || good === undefined) throw new Error(`${runId} was not claimed`)
      expect({ ...stale.held, executor: them }).toEqual(good.held)
      return { stale, good }
    }
    return { ours, us, holdsOf }
  })

describe("a standby that takes over without the last commits", () => {
  it.scopedLive(
    "gives a claim out again: who had it before is refused all that it writes",
    () =>
      Effect.gen(function* () {
        const { failOver, fallBehind, ours, theirs } = yield* overtaken
        const [us, them] = [yield* registered(ours, 1), yield* registered(theirs, 2)]
        yield* theirs.create(aRun("a"))
        yield* theirs.create(aRun("b", { workflow: "Other" }))
        yield* fallBehind
        const lost = yield* on(ours)(claimOne(us))
        yield* failOver
        const held = yield* on(theirs)(claimOne(them))
        expect([lost.held.runId, held.held.runId]).toEqual(["a", "a"])
        yield* refusesAll(ours, held, ["a", "b"], lost)
        // and who has it now goes on
        yield* theirs.complete({ held: held.held, status: "completed", exit: "1" })
      }),
    60_000
  )

  it.scopedLive(
    "gives it to another executor of the same process: of what both write in one commit its own counts",
    () =>
      Effect.gen(function* () {
        const { holdsOf, ours } = yield* heldTwice(["step", "note", "end"])
        const refused = (
          runId: string,
          write: (held: Held, exit: string) => Effect.Effect<unknown, RunLost | RunStoreError>
        ) => {
          const { good, stale } = holdsOf(runId)
          return Effect.all(
            [write(stale.held, `"stale"`), write(good.held, `"good"`)].map(Effect.either),
            { concurrency: "unbounded" }
          ).pipe(Effect.map((answers) => answers.map(Either.isLeft)))
        }
        expect([
          yield* refused("step", (held, exit) => ours.recordStep(aStep(held, { exit }))),
          yield* refused("note", (held) => ours.noteStep({ ...aStep(held), status: "running" })),
          yield* refused("end", (held, exit) => ours.complete({ held, status: "completed", exit }))
        ]).toEqual([
          [true, false],
          [true, false],
          [true, false]
        ])
        const found = yield* ours.findWithSteps("step")
        expect(Option.map(found, ({ steps }) => steps.map(({ exit }) => exit))).toEqual(
          Option.some([`"good"`])
        )
        expect(yield* ours.find("end")).toMatchObject({ value: { exit: `"good"` } })
      }),
    60_000
  )

  it.scopedLive(
    "gives it to another executor of the same process: of several holds its own is told apart",
    () =>
      Effect.gen(function* () {
        const { holdsOf, ours, us } = yield* heldTwice(["waiting", "released"])
        const waiting = holdsOf("waiting")
        const holds = [waiting.stale.held, waiting.good.held]
        expect((yield* ours.histories(holds)).map(Option.isSome)).toEqual([false, true])
        yield* keep(ours, waiting.good)
        expect(yield* ours.evict(holds)).toEqual([false, true])

        const { good, stale } = holdsOf("released")
        const late = { held: stale.held, timers: [{ name: "late", wakeAt: 1 }] }
        expect(yield* ours.release([late, { held: good.held, timers: [] }])).toBe(1)
        expect(yield* on(ours)(claimOne(us))).toMatchObject({
          held: { runId: "released" },
          history: { timers: [] }
        })
      }),
    60_000
  )

  it.scopedLive(
    "gives the key of a run to another run: what its holder writes is not that one's",
    () =>
      Effect.gen(function* () {
        const { failOver, fallBehind, ours, theirs } = yield* overtaken
        const [us, them] = [yield* registered(ours, 1), yield* registered(theirs, 2)]
        yield* theirs.create(aRun("b", { workflow: "Other" }))
        yield* fallBehind
        const ids = Array.from({ length: many }, (_, n) => `lost-${n}`)
        const lost = yield* Effect.forEach(ids, (id) => on(ours)(begin(us, id)))
        yield* failOver
        for (const [store, executor] of [
          [ours, us],
          [theirs, them]
        ] as const) {
          const runId = `of ${executor}`
          const held = yield* on(store)(begin(executor, runId))
          yield* refusesAll(ours, held, [runId, "b"], yield* twinOf(lost, held))
        }
      }),
    60_000
  )

  it.scopedLive(
    "gives an executor's id to another: the first is told that its lease is over",
    () =>
      Effect.gen(function* () {
        const { failOver, fallBehind, ours, theirs } = yield* overtaken
        yield* registered(theirs, 1)
        yield* fallBehind
        const pids = Array.from({ length: many }, (_, n) => n + 2)
        const lost = yield* Effect.forEach(pids, (pid) => registered(ours, pid))
        yield* failOver
        const other = yield* registered(theirs, 1)
        expect(lost).toContain(other)
        const lease = { leaseMillis, state: "running" } as const
        expect(yield* theirs.renew(other, lease)).toBe(true)
        expect(yield* ours.renew(other, lease)).toBe(false)
      }),
    60_000
  )
})
