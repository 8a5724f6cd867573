/**
 * The service of `@effect/workflow` over the RunStore: what workflow code talks to.
 *
 * Everything a workflow asks for is first looked up in what the run has recorded; only what is not
 * there is done, and recorded before the workflow goes on.
 */
import type * as Activity from "@effect/workflow/Activity"
import type * as DurableDeferred from "@effect/workflow/DurableDeferred"
import * as Workflow from "@effect/workflow/Workflow"
import * as Upstream from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { AnySpan } from "effect/Tracer"
import { Dispatcher } from "./Dispatcher.js"
import { childKey, stepKey } from "./engine/ActiveRun.js"
import * as Codec from "./engine/Codec.js"
import { type Link, linkOf } from "./engine/Pass.js"
import * as Waits from "./engine/Waits.js"
import {
  isFinal,
  type Json,
  type NewRun,
  RunStore,
  type RunStoreError,
  type Trace
} from "./RunStore.js"

const { WorkflowEngine, WorkflowInstance } = Upstream
type Instance = Upstream.WorkflowInstance["Type"]

/** `DurableClock.sleep` names its activities and deferreds so. */
const timerPrefix = "DurableClock/"

const suspended = new Workflow.Suspended({})

/** What a workflow is executed with. */
interface Execution {
  readonly executionId: string
  readonly payload: object
  readonly discard?: boolean | undefined
}

/** What a step has come to, once its schema has decoded it. */
type StepEnd = Effect.Effect<
  Workflow.Complete<unknown, unknown> | Workflow.Suspended,
  never,
  unknown
>

export const make: Effect.Effect<Upstream.WorkflowEngine["Type"], never, RunStore | Dispatcher> =
  Effect.gen(function* () {
    const store = yield* RunStore
    const dispatcher = yield* Dispatcher

    /**
     * Where the record of an interrupting pass ends nothing new is begun; it is interrupted when
     * every branch of it has come to its end. Its compensations are begun like anything else.
     */
    const atEndOfRecord = (link: Link): Effect.Effect<void> =>
      isReplayOnly(link) ? Effect.interruptible(Effect.never) : Effect.void

    /** The run waits, suspended, until what is recorded can be read and somebody resumes it. */
    const block = (link: Link, what: string, error: Codec.Unreadable): Effect.Effect<never> => {
      const message = `${what} of run ${link.run.runId} of workflow "${link.run.workflowName}" does not decode: ${error.message}`
      return Effect.logError(message).pipe(
        Effect.zipRight(
          Effect.sync(() =>
            dispatcher.halt(link.run, { _tag: "block", cause: Codec.blockCause(message) })
          )
        ),
        Effect.zipRight(Effect.interruptible(Effect.never))
      )
    }

    const wait = <A>(
      instance: Instance,
      link: Link,
      key: string,
      look: Waits.Look<A>,
      stay = false
    ) =>
      Effect.gen(function* () {
        const { run } = link
        const options = { isDraining: () => dispatcher.isDraining(run), stay }
        const now = yield* Clock.currentTimeMillis
        // what has come since the interrupt took hold is not there for the forward part
        const hidden = isReplayOnly(link) && run.seen !== undefined && !run.seen.has(key)
        if (hidden || look(now)._tag !== "There") yield* atEndOfRecord(link)
        const found = yield* Waits.wait(
          link,
          () => instance.activityState.count + run.writes,
          look,
          options
        )
        if (found !== undefined) run.noteFound(key)
        return found
      })

    // --- steps

    const decodeStep = (link: Link, activity: Activity.Any, json: Json): StepEnd => {
      const exit = Codec.exitFromJson(activity, json)
      const decoded = Codec.atHand(exit)
      return decoded === undefined
        ? exit.pipe(
            Effect.map((exit) => new Workflow.Complete({ exit })),
            Effect.catchAll((error) => block(link, `the recorded step "${activity.name}"`, error))
          )
        : Effect.succeed(new Workflow.Complete({ exit: decoded.right }))
    }

    const executeStep = (activity: Activity.Any, attempt: number) =>
      Effect.withFiberRuntime((fiber, { runtimeFlags }): StepEnd => {
        const instance = Context.unsafeGet(fiber.currentContext, WorkflowInstance)
        const link = linkOf(instance)
        if (link === undefined) return outside(activity.name)
        if (activity.name.startsWith(timerPrefix)) return shortSleep(instance, link, activity)
        const key = stepKey(activity.name, attempt)
        const recorded = link.run.steps.get(key)
        if (recorded !== undefined) {
          link.run.reach(key, link.nested)
          return Effect.zipRight(dispatcher.spans.replayed, decodeStep(link, activity, recorded))
        }
        const executed = Effect.flatMap(
          dispatcher.steps.execute(fiber, runtimeFlags, instance, activity, attempt),
          (result): StepEnd => {
            if (result._tag === "Recorded") return decodeStep(link, activity, result.exit)
            const { cause } = result
            return Effect.succeed(
              cause === undefined ? suspended : new Workflow.Suspended({ cause })
            )
          }
        )
        return isReplayOnly(link) ? Effect.zipRight(atEndOfRecord(link), executed) : executed
      })

    // --- timers

    /**
     * `DurableClock.sleep` of up to its in-memory threshold comes as an activity that sleeps. As a
     * step it would hold a drain up and begin anew after a restart, so it is made a timer: its
     * duration is what it asks the Clock for.
     */
    const shortSleep = Effect.fnUntraced(function* (
      instance: Instance,
      link: Link,
      activity: Activity.Any
    ) {
      let duration = Duration.zero
      const clock = yield* Effect.clock
      const asking: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (asked: Duration.Duration) =>
          Effect.sync(() => {
            duration = asked
          })
      })
      yield* Effect.orDie(Effect.withClock(activity.execute as Effect.Effect<void>, asking))
      yield* setTimer(link, activity.name, duration)
      // inside a step it is part of the step, and stays there
      const exit = yield* wait(
        instance,
        link,
        activity.name,
        timerLook(link, activity.name),
        link.nested
      )
      return exit === undefined ? suspended : new Workflow.Complete({ exit: Exit.void })
    })

    const setTimer = (link: Link, name: string, duration: Duration.Duration) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const { run } = link
        if (run.timers.has(name)) return
        const wakeAt = now + Duration.toMillis(duration)
        run.setTimer(name, { wakeAt, fired: false, saved: false })
      })

    const timerLook =
      (link: Link, name: string): Waits.Look<Json> =>
      (now) => {
        const done = link.run.signals.get(name)
        if (done !== undefined) return { _tag: "There", value: done }
        const timer = link.run.timers.get(name)
        if (timer === undefined) return { _tag: "Unknown" }
        if (!timer.fired && timer.wakeAt > now) return { _tag: "At", time: timer.wakeAt }
        timer.fired = true
        return { _tag: "There", value: Codec.exitVoid }
      }

    // --- deferreds

    const deferredResult = Effect.fnUntraced(function* (deferred: DurableDeferred.Any) {
      const instance = yield* WorkflowInstance
      const link = yield* requireLink(instance, deferred.name)
      dispatcher.noteDeferred(link.run.workflowName, deferred)
      const exit = yield* wait(instance, link, deferred.name, timerLook(link, deferred.name))
      if (exit === undefined) return undefined
      return yield* Effect.catchAll(Codec.exitFromJson(deferred, exit), (error) =>
        block(link, `the signal "${deferred.name}"`, error)
      )
    })

    const deferredDone = Effect.fnUntraced(function* (
      deferred: DurableDeferred.Any,
      options: {
        readonly executionId: string
        readonly deferredName: string
        readonly exit: Exit.Exit<unknown, unknown>
      }
    ) {
      const link = Option.flatMapNullable(yield* Effect.serviceOption(WorkflowInstance), linkOf)
      const own = Option.filter(link, ({ run }) => run.runId === options.executionId)
      const interrupted =
        Exit.isFailure(options.exit) && Cause.isInterruptedOnly(options.exit.cause)
      // `DurableDeferred.into` in a pass that was cut: not an outcome
      if (Option.isSome(own) && interrupted) return
      const exit = yield* Codec.exitToJson(deferred, options.exit).pipe(
        Effect.flatMap(dispatcher.bounded),
        Effect.orDie
      )
      const signal = { runId: options.executionId, name: options.deferredName, exit }
      const write = untilStored(store.signal(signal))
      // a value that was there before stays
      if (!(yield* Option.isSome(own) ? underWay(own.value, write) : write)) return
      dispatcher.runs.signal(signal)
      // no news to a pass that has seen it wherever it waits: no reason to replay, not to suspend
      if (Option.isSome(own) && !own.value.run.waitedInVain) own.value.run.wakeups++
    })

    /** While it lasts the run does not suspend: another branch may wait for just that. */
    const underWay = <A, E>(link: Link, write: Effect.Effect<A, E>) =>
      Effect.acquireUseRelease(
        Effect.sync(() => link.run.writes++),
        () => write,
        () =>
          Effect.sync(() => {
            link.run.writes--
            link.run.changed()
          })
      )

    // --- runs

    const newRun = (workflow: Workflow.Any, { executionId, payload }: Execution) =>
      Effect.withFiberRuntime<NewRun, never, unknown>((fiber) => {
        const json = Codec.payloadToJson(workflow, payload)
        const run = (payload: Json): NewRun => ({
          runId: executionId,
          workflow: workflow.name,
          payload,
          trace: traceOf(fiber.currentSpan)
        })
        return Effect.orDie(Effect.map(Effect.flatMap(json, dispatcher.bounded), run))
      })

    const execute = (workflow: Workflow.Any, options: Execution) =>
      Effect.contextWithEffect((services: Context.Context<never>) => {
        const parent = Context.getOption(services, WorkflowInstance)
        const link = Option.flatMapNullable(parent, linkOf)
        if (Option.isSome(parent) && Option.isSome(link)) {
          return executeChild(workflow, options, parent.value, link.value)
        }
        return Effect.flatMap(newRun(workflow, options), (run) =>
          options.discard === true
            ? Effect.as(Effect.orDie(dispatcher.start(run)), run.runId)
            : Effect.flatMap(Effect.orDie(dispatcher.startAndAwait(run)), (exit) =>
                Effect.flatten(Effect.orDie(Codec.exitFromJson(workflow, exit)))
              )
        )
      })

    const executeChild = Effect.fnUntraced(function* (
      workflow: Workflow.Any,
      options: Execution,
      parent: Instance,
      link: Link
    ) {
      const { run } = link
      const runId = options.executionId
      const awaits = options.discard !== true
      const begin = Effect.gen(function* () {
        if (!awaits) run.setDiscarded(runId, true)
        // one that was discarded before it is awaited does not wake its parent yet
        const unlinked = awaits && run.discarded.has(runId) && run.children.get(runId) === undefined
        if (run.children.has(runId) && (!unlinked || run.interrupting)) return
        yield* atEndOfRecord(link)
        if (dispatcher.isDraining(run)) {
          run.refused = true
          return yield* Workflow.suspend(parent)
        }
        const child = yield* newRun(workflow, options)
        dispatcher.runs.awaitChild(run, runId)
        const created = yield* untilStored(
          dispatcher.start({ ...child, parent: { runId: run.runId, awaits } })
        )
        if (!run.children.has(runId) || isFinal(created.status)) run.setChild(runId, created.exit)
        if (awaits) run.setDiscarded(runId, false)
      })
      if (!awaits) {
        yield* begin
        run.reach(childKey(runId), link.nested)
        return runId
      }
      const childLook: Waits.Look<Json> = () => {
        const exit = run.children.get(runId)
        return exit === undefined ? { _tag: "Unknown" } : { _tag: "There", value: exit }
      }
      const exit = yield* Workflow.wrapActivityResult(
        Effect.zipRight(begin, wait(parent, link, childKey(runId), childLook)),
        (exit) => exit === undefined
      )
      if (exit === undefined) return yield* Workflow.suspend(parent)
      run.reach(childKey(runId), link.nested || parent !== run.instance)
      const decoded = yield* Effect.catchAll(Codec.exitFromJson(workflow, exit), (error) =>
        block(link, `the result of child ${runId}`, error)
      )
      return yield* decoded
    })

    const poll = Effect.fnUntraced(function* (workflow: Workflow.Any, runId: string) {
      const run = Option.getOrUndefined(yield* Effect.orDie(store.find(runId)))
      if (run === undefined) return undefined
      if (run.status === "suspended") {
        return run.cause === undefined
          ? suspended
          : new Workflow.Suspended({ cause: Codec.causeFromJson(run.cause) })
      }
      if (!isFinal(run.status) || run.exit === undefined) return undefined
      const exit = yield* Effect.orDie(Codec.exitFromJson(workflow, run.exit))
      return new Workflow.Complete({ exit })
    })

    // The service's types tie each call to the schemas of its definition; the functions above work on
    // any of them, through those schemas.
    return WorkflowEngine.of({
      register: Effect.fnUntraced(function* (workflow, execute) {
        yield* dispatcher.register({
          workflow,
          services: yield* Effect.context<Upstream.WorkflowEngine>(),
          execute: (payload, runId) =>
            // what else it needs is in the context that it was registered with
            // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
            Effect.suspend(() => execute(payload, runId)) as Effect.Effect<
              unknown,
              unknown,
              Upstream.WorkflowEngine | Upstream.WorkflowInstance
            >
        })
      }),
      execute,
      poll,
      interrupt: (_, runId) => Effect.asVoid(Effect.orDie(store.requestInterrupt(runId))),
      resume: (_, runId) => Effect.asVoid(Effect.orDie(store.wake(runId))),
      activityExecute: executeStep,
      deferredResult,
      deferredDone,
      scheduleClock: (_, { clock, executionId }) =>
        Effect.gen(function* () {
          const link = Option.flatMapNullable(yield* Effect.serviceOption(WorkflowInstance), linkOf)
          if (Option.isNone(link) || link.value.run.runId !== executionId) {
            return yield* Effect.dieMessage(`a DurableClock is scheduled by its own run only`)
          }
          yield* setTimer(link.value, clock.deferred.name, clock.duration)
        })
    } as Upstream.WorkflowEngine["Type"])
  })

const retrySchedule = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("1 second"))
)

export const layer: Layer.Layer<Upstream.WorkflowEngine, never, RunStore | Dispatcher> =
  Layer.effect(WorkflowEngine, make)

/** In the forward part of an interrupting pass, which goes as far as the record does. */
const isReplayOnly = ({ nested, run }: Link) => run.interrupting && !run.closing && !nested

/** Only a span of this process has been told to whoever looks at them. */
const traceOf = (span: AnySpan | undefined): Trace | undefined =>
  span?._tag === "Span"
    ? { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
    : undefined

const requireLink = (instance: Instance, what: string): Effect.Effect<Link> => {
  const link = linkOf(instance)
  return link === undefined ? outside(what) : Effect.succeed(link)
}

const outside = (what: string) =>
  Effect.dieMessage(`"${what}" was used outside of a run of this engine`)

/** A write of a run that has nowhere to report to; the store is waited for. */
const untilStored = <A>(write: Effect.Effect<A, RunStoreError>): Effect.Effect<A> =>
  write.pipe(
    Effect.tapError((error) =>
      Effect.logWarning("store write failed; trying again", Cause.fail(error))
    ),
    Effect.retry({
      while: (error) => error.reason !== "closed",
      schedule: retrySchedule
    }),
    Effect.orDie
  )
