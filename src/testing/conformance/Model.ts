/** Random interleavings against a model small enough to be seen to be right. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, FinalStatus, RunStatus } from "../../store/RunStore.js"
import { isFinal, RunStore, type RunStoreError } from "../../store/RunStore.js"
import { aRun, aStep, leaseMillis, orMissing, register } from "../Acts.js"

interface ModelRun {
  status: RunStatus
  /** The store's own; another one after the run was removed and created anew. */
  key: number | undefined
  claim: number
  wakeups: number
  wakeAt: number | undefined
  terminated: boolean
  /** Who holds it, or keeps it in memory while it is suspended. */
  executor: number | undefined
  crashes: number
  /** Since it was claimed it has done more than to wait for room; of one with crashes. */
  atWork: boolean
  /** Others are tried beside it. */
  beside: boolean
  readonly signals: Set<string>
  readonly steps: Map<string, string>
}

/** A claim that somebody once had, and how many wake-ups its history had counted. */
interface OldClaim {
  readonly run: ClaimedRun
  wakeups: number
}

interface World {
  readonly runs: Map<string, ModelRun>
  readonly claims: Array<OldClaim>
  executor: number
  now: number
}

const runIds = ["a", "b"] as const

const runId = FastCheck.constantFrom(...runIds)
/** Counted from the latest claim back. */
const ofClaim = FastCheck.integer({ min: 0, max: 3 })
const command = FastCheck.oneof(
  {
    weight: 2,
    arbitrary: FastCheck.record({ type: FastCheck.constant("create" as const), runId })
  },
  { weight: 6, arbitrary: FastCheck.record({ type: FastCheck.constant("claim" as const) }) },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      type: FastCheck.constantFrom(
        "record" as const,
        "history" as const,
        "release" as const,
        "waitsForRoom" as const,
        "letOthersTry" as const,
        "begins" as const,
        "proceed" as const,
        "evict" as const
      ),
      ofClaim
    })
  },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("suspend" as const),
      ofClaim,
      keep: FastCheck.boolean(),
      delay: FastCheck.option(FastCheck.integer({ min: 0, max: 50 }), { nil: undefined })
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("complete" as const),
      ofClaim,
      status: FastCheck.constantFrom<FinalStatus>("completed", "failed", "interrupted")
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      type: FastCheck.constantFrom("retry" as const, "remove" as const, "terminate" as const),
      runId
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("signal" as const),
      runId,
      name: FastCheck.constantFrom("x", "y", "z")
    })
  },
  { weight: 2, arbitrary: FastCheck.record({ type: FastCheck.constant("wake" as const), runId }) },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("wakeDue" as const),
      delay: FastCheck.integer({ min: 0, max: 50 })
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ type: FastCheck.constant("takeOver" as const) }) }
)

type Command = typeof command extends FastCheck.Arbitrary<infer A> ? A : never

/** The lease of every executor but the newest has lapsed. */
const pauseOf = (crashes: number) => Math.min(300_000, 5_000 * 4 ** (crashes - 2))

const isTriedAlone = (run: ModelRun) => isSuspect(run) && !run.beside

const isSuspect = ({ crashes }: ModelRun) => crashes >= 2

/** Its executor has died. */
const crash = (world: World) => (run: ModelRun) => {
  giveBack(run)
  if (run.crashes === 0 || run.atWork) run.crashes++
  else if (run.crashes === 2) run.crashes = 1
  if (!isSuspect(run)) return
  run.status = "suspended"
  run.wakeAt = world.now + pauseOf(run.crashes)
}

/** An executor has died, and this one was not there. */
const clear = (run: ModelRun) => {
  if (run.crashes !== 2 || (run.status !== "suspended" && run.status !== "pending")) return
  run.crashes = 1
  run.status = "pending"
  run.wakeAt = undefined
}

const wakeModel = (world: World, run: ModelRun | undefined) => {
  if (run === undefined || isFinal(run.status)) return
  run.wakeups++
  run.wakeAt = undefined
  if (run.status !== "suspended") return
  if (run.executor === world.executor) run.status = "running"
  else if (run.executor === undefined) run.status = "pending"
  else giveBack(run)
}

const giveBack = (run: ModelRun) => {
  run.status = "pending"
  run.executor = undefined
  run.claim++
}

const isOpen = (world: World, { run }: OldClaim) => {
  const model = world.runs.get(run.held.runId)
  return model?.status === "running" && isSame(model, run) ? model : undefined
}

const isSame = (model: ModelRun, { held }: ClaimedRun) =>
  model.key === held.key && model.claim === held.claim

/** It is suspended, and kept in memory by whoever had this claim. */
const isKept = (world: World, { run }: OldClaim) => {
  const model = world.runs.get(run.held.runId)
  const waits = model?.status === "suspended" && model.executor !== undefined
  return waits && isSame(model, run) ? model : undefined
}

/** What the store answers, with `lost` for a refused write. */
const attempt = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.catchAll(effect, () => Effect.succeed("lost" as const))

const claimed = (world: World, run: ClaimedRun) => {
  const model = world.runs.get(run.held.runId)
  expect(model?.status).toBe("pending")
  if (model === undefined) return
  model.status = "running"
  model.executor = world.executor
  model.claim++
  model.atWork = model.crashes > 0
  model.beside = false
  expect(run.held.claim).toBe(model.claim)
  model.key = run.held.key
  world.claims.unshift({ run, wakeups: run.history.wakeups })
  expectHistory(model, run.history)
}

const expectHistory = (model: ModelRun, history: ClaimedRun["history"]) => {
  expect(history.wakeups).toBe(model.wakeups)
  expect(new Set(history.signals.map(({ name }) => name))).toEqual(model.signals)
  expect(new Map(history.steps.map(({ name, exit }) => [name, exit]))).toEqual(model.steps)
}

const execute = (world: World, command: Command) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    switch (command.type) {
      case "create": {
        const { created } = yield* store.create(aRun(command.runId))
        expect(created).toBe(!world.runs.has(command.runId))
        if (created) {
          const fresh = {
            key: undefined,
            claim: 0,
            wakeups: 0,
            wakeAt: undefined,
            terminated: false,
            executor: undefined,
            crashes: 0,
            atWork: false,
            beside: false
          }
          world.runs.set(command.runId, {
            ...fresh,
            status: "pending",
            signals: new Set(),
            steps: new Map()
          })
        }
        return
      }
      case "claim": {
        const pending = [...world.runs].filter(([, { status }]) => status === "pending")
        const [oldest] = pending
        const others = [...world.runs.values()].filter(({ status }) => status === "running")
        if (oldest !== undefined && isSuspect(oldest[1]) && others.some(isTriedAlone)) {
          pending.length = 0
          oldest[1].status = "suspended"
          oldest[1].wakeAt = world.now + 1_000
        }
        const options = { executor: world.executor, workflows: ["Order"], limit: 1 }
        const runs = yield* store.claim(options)
        expect(runs.map(({ held }) => held.runId)).toEqual(pending.slice(0, 1).map(([id]) => id))
        for (const run of runs) claimed(world, run)
        return
      }
      case "signal": {
        const model = world.runs.get(command.runId)
        if (model === undefined) return
        const exit = `"${model.wakeups}"`
        const first = yield* store.signal({ runId: command.runId, name: command.name, exit })
        expect(first).toBe(!model.signals.has(command.name))
        if (first) wakeModel(world, model)
        model.signals.add(command.name)
        return
      }
      case "wake": {
        const model = world.runs.get(command.runId)
        const before = yield* store.wake(command.runId)
        expect(before).toEqual(Option.fromNullable(model?.status))
        if (model !== undefined) model.crashes = 0
        return wakeModel(world, model)
      }
      case "retry": {
        const model = world.runs.get(command.runId)
        const answer = yield* store.retry({ runId: command.runId })
        const failed =
          (model?.status === "failed" || model?.status === "interrupted") && !model.terminated
        expect(answer._tag).toBe(model === undefined ? "NotFound" : failed ? "Done" : "Refused")
        if (model === undefined || !failed) return
        model.status = "pending"
        model.crashes = 0
        model.wakeups++
        return
      }
      case "terminate": {
        const model = world.runs.get(command.runId)
        const { runId } = command
        const answer = yield* store.terminate({ runId, exit: "0", children: false })
        const over = model !== undefined && isFinal(model.status)
        expect(answer._tag).toBe(model === undefined ? "NotFound" : over ? "Refused" : "Done")
        if (model === undefined || over) return
        model.status = "interrupted"
        model.terminated = true
        model.executor = undefined
        model.claim++
        model.wakeups++
        return
      }
      case "remove": {
        const model = world.runs.get(command.runId)
        const answer = yield* store.remove(command.runId)
        const over = model !== undefined && isFinal(model.status)
        expect(answer._tag).toBe(model === undefined ? "NotFound" : over ? "Done" : "Refused")
        if (over) world.runs.delete(command.runId)
        return
      }
      case "wakeDue": {
        world.now += command.delay
        yield* TestClock.setTime(world.now)
        const due = [...world.runs.values()].filter(
          ({ status, wakeAt }) =>
            status === "suspended" && wakeAt !== undefined && wakeAt <= world.now
        )
        expect(yield* store.wakeDue(9)).toBe(due.length)
        for (const run of due) wakeModel(world, run)
        return
      }
      case "takeOver": {
        world.now += leaseMillis + 1
        yield* TestClock.setTime(world.now)
        const held = [...world.runs.values()].filter(({ status }) => status === "running")
        expect(yield* store.takeOver({ limit: 9, maxCrashes: 99 })).toBe(held.length)
        world.executor = yield* register
        for (const run of world.runs.values()) clear(run)
        return held.forEach(crash(world))
      }
      default:
        return yield* executeAsHolder(world, command)
    }
  })

const executeAsHolder = (world: World, command: Extract<Command, { readonly ofClaim: number }>) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const claim = world.claims[command.ofClaim]
    if (claim === undefined) return
    const { held } = claim.run
    const model = isOpen(world, claim)
    switch (command.type) {
      case "record": {
        const exit = `"by claim ${held.claim}"`
        const answer = yield* attempt(store.recordStep(aStep(held, { exit })))
        expect(answer).toBe(model === undefined ? "lost" : undefined)
        if (model !== undefined && !model.steps.has("charge")) model.steps.set("charge", exit)
        return
      }
      case "history": {
        const answer = yield* attempt(store.history(held))
        expect(answer === "lost").toBe(model === undefined)
        if (model === undefined || answer === "lost") return
        claim.wakeups = answer.wakeups
        return expectHistory(model, answer)
      }
      case "release": {
        const kept = isKept(world, claim)
        if (kept !== undefined) {
          kept.executor = undefined
          kept.claim++
        }
        expect(yield* store.release([{ held, timers: [] }])).toBe(model === undefined ? 0 : 1)
        return model === undefined ? undefined : giveBack(model)
      }
      case "waitsForRoom": {
        yield* store.waitsForRoom(held)
        if (model !== undefined) {
          model.atWork = false
          model.beside = false
        }
        return
      }
      case "letOthersTry": {
        yield* store.letOthersTry(held)
        if (model === undefined || !isTriedAlone(model)) return
        model.beside = true
        const [next] = [...world.runs.values()]
          .filter(({ crashes, status }) => crashes === 2 && status === "suspended")
          .sort((a, b) => (a.wakeAt ?? 0) - (b.wakeAt ?? 0))
        if (next !== undefined) next.wakeAt = world.now
        return
      }
      case "begins": {
        const note = { held, name: "begins", attempt: 1, startedAt: 1, completedAt: undefined }
        const answer = yield* attempt(store.noteStep({ ...note, status: "running" }))
        expect(answer).toBe(model === undefined ? "lost" : undefined)
        if (model !== undefined && model.crashes > 0) {
          model.atWork = true
          model.beside = false
        }
        return
      }
      case "complete": {
        const answer = yield* attempt(store.complete({ held, status: command.status, exit: "1" }))
        expect(answer).toBe(model === undefined ? "lost" : undefined)
        if (model !== undefined) model.status = command.status
        return
      }
      case "proceed": {
        const open = model ?? isKept(world, claim)
        const answer = yield* attempt(store.proceed(held))
        expect(answer).toBe(open === undefined ? "lost" : undefined)
        if (open !== undefined) open.status = "running"
        return
      }
      case "evict": {
        const kept = isKept(world, claim)
        expect(yield* store.evict([held])).toEqual([kept !== undefined])
        if (kept === undefined) return
        kept.executor = undefined
        kept.claim++
        return
      }
      case "suspend": {
        const wakeAt = command.delay === undefined ? undefined : world.now + command.delay
        const { wakeups } = claim
        const { keep } = command
        const suspension = { held, wakeups, timers: [], wakeAt, cause: undefined, keep }
        const answer = yield* attempt(store.suspend(suspension))
        if (model === undefined || answer === "lost") {
          return expect([model, answer]).toEqual([undefined, "lost"])
        }
        expect(Option.isNone(answer)).toBe(wakeups === model.wakeups)
        if (Option.isSome(answer)) {
          claim.wakeups = answer.value.wakeups
          return expectHistory(model, answer.value)
        }
        model.status = "suspended"
        model.wakeAt = wakeAt
        model.crashes = 0
        if (!keep) model.executor = undefined
      }
    }
  })

export const model = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  it.effect.prop(
    "any interleaving of claims, late writes, suspensions and wake-ups does what the model does",
    [FastCheck.array(command, { maxLength: 60, size: "max" })],
    ([commands]) =>
      Effect.gen(function* () {
        const store = yield* RunStore
        yield* TestClock.setTime(0)
        const executor = yield* register
        const world: World = { runs: new Map(), claims: [], executor, now: 0 }
        for (const command of commands) {
          yield* execute(world, command)
          for (const [runId, { crashes, status }] of world.runs) {
            const run = yield* Effect.flatMap(store.find(runId), orMissing(runId))
            expect(run.status).toBe(status)
            if (!isFinal(status)) expect(run.crashes ?? 0).toBe(crashes)
          }
          const statuses = [...world.runs.values()].map(({ status }) => status)
          for (const [status, count] of Object.entries(yield* store.counts)) {
            expect(count).toBe(statuses.filter((other) => other === status).length)
          }
        }
      }).pipe(Effect.provide(layer)),
    { fastCheck: { numRuns: 30 }, timeout: 60_000 }
  )
}
