/**
 * A WorkflowEngine that keeps nothing, suspends nothing and stops nowhere: every wait is a wait of
 * Effect. What a program comes to on it is what it comes to in plain Effect, which is what
 * `Model.ts` is to say.
 */
import { Workflow, WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

type Exited = Exit.Exit<unknown, unknown>
type Result = Workflow.Result<unknown, unknown>
type Execute = Parameters<WorkflowEngine.Encoded["register"]>[1]

/**
 * While others wait, `Workflow.wrapActivityResult` keeps who is told to suspend until they do not,
 * and so `DurableDeferred.raceAll`, which only looks. Here nobody suspends: nobody is counted.
 */
const instanceOf = (workflow: Workflow.Any, runId: string) => ({
  ...WorkflowEngine.WorkflowInstance.initial(workflow, runId),
  activityState: {
    latch: Effect.unsafeMakeLatch(),
    get count() {
      return 0
    },
    set count(_) {}
  }
})

const make = Effect.sync(() => {
  const workflows = new Map<string, Execute>()
  const runs = new Map<string, Deferred.Deferred<Result>>()
  const steps = new Map<string, Result>()
  const signals = new Map<string, Deferred.Deferred<Exited>>()

  const signalOf = (runId: string, name: string) => {
    const key = `${runId}/${name}`
    const signal = signals.get(key) ?? Deferred.unsafeMake<Exited>(FiberId.none)
    signals.set(key, signal)
    return signal
  }

  const isInterrupted = (exit: Exited) =>
    Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)

  const start = (workflow: Workflow.Any, runId: string, payload: object) =>
    Effect.gen(function* () {
      const known = runs.get(runId)
      if (known !== undefined) return known
      const execute = workflows.get(workflow.name)
      if (execute === undefined) return yield* Effect.dieMessage(`no workflow ${workflow.name}`)
      const run = yield* Deferred.make<Result>()
      runs.set(runId, run)
      const result = Workflow.intoResult(execute(payload, runId)).pipe(
        Effect.provideService(WorkflowEngine.WorkflowInstance, instanceOf(workflow, runId)),
        Effect.provideService(WorkflowEngine.WorkflowEngine, engine)
      )
      yield* Effect.forkDaemon(Effect.intoDeferred(result, run))
      return run
    })

  const engine: WorkflowEngine.WorkflowEngine["Type"] = WorkflowEngine.makeUnsafe({
    register: (workflow, execute) =>
      Effect.sync(() => {
        workflows.set(workflow.name, execute)
      }),
    execute: ((workflow, { discard, executionId, payload }) =>
      Effect.flatMap(
        start(workflow, executionId, payload),
        (run) => (discard ? Effect.void : Deferred.await(run))
        // what it answers with depends on a type that `discard` decides
      )) as WorkflowEngine.Encoded["execute"],
    poll: (_, runId) =>
      Effect.gen(function* () {
        const run = runs.get(runId)
        const result = run === undefined ? Option.none() : yield* Deferred.poll(run)
        return Option.isSome(result) ? yield* result.value : undefined
      }),
    interrupt: () => Effect.void,
    resume: () => Effect.void,
    activityExecute: (activity, attempt) =>
      Effect.gen(function* () {
        const { executionId, workflow } = yield* WorkflowEngine.WorkflowInstance
        const key = `${executionId}/${activity.name}/${attempt}`
        const known = steps.get(key)
        if (known !== undefined) return known
        const result = yield* Workflow.intoResult(activity.executeEncoded).pipe(
          Effect.provideService(WorkflowEngine.WorkflowInstance, instanceOf(workflow, executionId))
        )
        steps.set(key, result)
        return result
      }),
    deferredResult: (deferred) =>
      Effect.gen(function* () {
        const { executionId } = yield* WorkflowEngine.WorkflowInstance
        const signal = signalOf(executionId, deferred.name)
        // `DurableDeferred.raceAll` only looks whether the race is over
        if (deferred.name.startsWith("raceAll/")) {
          const over = yield* Deferred.poll(signal)
          return Option.isSome(over) ? yield* over.value : undefined
        }
        return yield* Deferred.await(signal)
      }),
    deferredDone: ({ deferredName, executionId, exit }) =>
      isInterrupted(exit)
        ? Effect.void
        : Deferred.succeed(signalOf(executionId, deferredName), exit),
    scheduleClock: (_, { clock, executionId }) =>
      Effect.sleep(clock.duration).pipe(
        Effect.zipRight(Deferred.succeed(signalOf(executionId, clock.deferred.name), Exit.void)),
        Effect.forkDaemon
      )
  })
  return engine
})

export const layer: Layer.Layer<WorkflowEngine.WorkflowEngine> = Layer.effect(
  WorkflowEngine.WorkflowEngine,
  make
)
