import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { ClaimedRun, Held, NewRun, RunStoreError, StepOutcome } from "../store/RunStore.js"
import { RunStore } from "../store/RunStore.js"

export const leaseMillis = 10_000

export const aRun = (runId: string, run: Partial<NewRun> = {}): NewRun => ({
  runId,
  workflow: "Order",
  payload: `{"id":"${runId}"}`,
  ...run
})

export const register = Effect.flatMap(RunStore, (store) =>
  store.register({ host: "here", pid: 42, version: "1.2.3", leaseMillis })
)

/** A run that this executor holds from its creation. */
export const begin = (
  executor: number,
  runId: string,
  run: Partial<NewRun> = {}
): Effect.Effect<ClaimedRun, RunStoreError, RunStore> =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const { claimed } = yield* store.create(aRun(runId, run), executor)
    return claimed ?? (yield* Effect.dieMessage(`Run ${runId} was not claimed`))
  })

/** The one pending run of the workflow "Order". */
export const claimOne = (executor: number): Effect.Effect<ClaimedRun, RunStoreError, RunStore> =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const [claimed] = yield* store.claim({ executor, workflows: ["Order"], limit: 1 })
    return claimed ?? (yield* Effect.dieMessage("There was no pending run"))
  })

export const aStep = (held: Held, step: Partial<StepOutcome> = {}): StepOutcome => ({
  held,
  name: "charge",
  attempt: 1,
  status: "completed",
  startedAt: 1,
  completedAt: 2,
  exit: `"charged"`,
  timers: [],
  ...step
})

/** Suspends the run as its history left it. */
export const suspend = (
  { held, history }: ClaimedRun,
  options: {
    readonly wakeAt?: number
    readonly cause?: string
    readonly timers?: StepOutcome["timers"]
    readonly waitsFor?: string
  } = {}
) =>
  Effect.flatMap(RunStore, (store) =>
    store.suspend({
      held,
      wakeups: history.wakeups,
      timers: options.timers ?? [],
      wakeAt: options.wakeAt,
      cause: options.cause,
      waitsFor: options.waitsFor
    })
  )

export const statusOf = (runId: string) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const run = yield* Effect.flatMap(store.find(runId), orMissing(runId))
    return run.status
  })

export const orMissing =
  (runId: string) =>
  <A>(found: Option.Option<A>): Effect.Effect<A> =>
    found._tag === "Some" ? Effect.succeed(found.value) : Effect.dieMessage(`No run ${runId}`)

/** Commits of this test that changed something, so far. */
export const drain = <A>(queue: { readonly takeAll: Effect.Effect<Iterable<A>> }) =>
  Effect.map(queue.takeAll, (values) => [...values])
