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
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { AnySpan } from "effect/Tracer"
import {
  isFinal,
  type Json,
  type NewRun,
  type RunLost,
  RunStore,
  RunStoreError,
  type Trace,
  type WritesOfHolder
} from "../store/RunStore.js"
import * as Spans from "../telemetry/Spans.js"
import * as Codec from "../values/Codec.js"
import { notWellFormed } from "../values/WellFormed.js"
import { Dispatcher } from "./held/Dispatcher.js"
import * as Fibers from "./pass/Fibers.js"
import { type Instance, type Link, linkOf, type Pass } from "./pass/Pass.js"
import type * as Waits from "./pass/Waits.js"
import * as ReservedNames from "./ReservedNames.js"
import type { RunIdTaken } from "./RunIdTaken.js"
import { childKey, stepKey } from "./run/ActiveRun.js"
import { mayPass } from "./run/Persist.js"

const { WorkflowEngine, WorkflowInstance } = Upstream

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

const suspended = new Workflow.Suspended({})

/** What a workflow is executed with. */
interface Execution {
  readonly executionId: string
  readonly payload: object
  readonly discard?: boolean | undefined
}

/** What a step has come to, once its schema has decoded it. */
type StepEnd = Effect.Effect<Workflow.Complete<unknown, unknown>, never, unknown>

const unknown = { _tag: "Unknown" } as const

export const make: Effect.Effect<Upstream.WorkflowEngine["Type"], never, RunStore | Dispatcher> =
  Effect.gen(function* () {
    const store = yield* RunStore
    const dispatcher = yield* Dispatcher

    /** An instance of another executor's engine is not in one of this one's runs. */
    const ownLink = (instance: Instance): Link | undefined => {
      const link = linkOf(instance)
      return link !== undefined && dispatcher.holds(link.run) ? link : undefined
    }

    /** Of the run in which this is called, if it is one of this engine's. */
    const callersLink = Effect.map(Effect.serviceOption(WorkflowInstance), (instance) =>
      Option.isNone(instance) ? undefined : ownLink(instance.value)
    )

    /** Inside of a call of the engine, from when it begins until it is over or interrupted. */
    const inside = <A, E, R>(
      link: Link,
      fiber: AnyFiber,
      call: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) => {
        link.quiescence.enter(fiber)
        return Effect.matchCauseEffect(restore(call), {
          onFailure: (cause) => {
            link.quiescence.leave(fiber)
            return Effect.failCause(cause)
          },
          onSuccess: (value) => {
            link.quiescence.leave(fiber)
            return Effect.succeed(value)
          }
        })
      })

    /** What is not to be done now stays where it is; its pass is ended from outside. */
    const stay = (link: Link, fiber: AnyFiber): Effect.Effect<never> =>
      inside(link, fiber, link.pass.waits.stay({ fiber, quiescence: link.quiescence }))

    /**
     * A write in the name of the run in which this is called. If the run is held by somebody else it
     * is refused, and the caller goes no further.
     */
    const asHolder = <A>(
      link: Link,
      fiber: AnyFiber,
      write: (by: WritesOfHolder) => Effect.Effect<A, WriteError>
    ): Effect.Effect<A> =>
      Effect.catchTag(
        untilStored(Effect.suspend(() => write(store.by(link.run.held)))),
        "RunLost",
        () => lose(link, fiber)
      )

    /** Another executor holds the run. */
    const lose = (link: Link, fiber: AnyFiber): Effect.Effect<never> =>
      Effect.zipRight(
        Effect.sync(() => dispatcher.end(link.run, { _tag: "lost" })),
        stay(link, fiber)
      )

    /** The run waits, suspended, until what is recorded can be read and somebody resumes it. */
    const block = (
      link: Link,
      fiber: AnyFiber,
      what: string,
      error: Codec.Unreadable
    ): Effect.Effect<never> => {
      const message = `${what} of run ${link.run.runId} of workflow "${link.run.workflowName}" does not decode: ${error.message}`
      return Effect.logError(message).pipe(
        Effect.zipRight(
          Effect.sync(() =>
            dispatcher.end(link.run, { _tag: "block", cause: Codec.blockCause(message) })
          )
        ),
        Effect.zipRight(stay(link, fiber))
      )
    }

    /** Waits in place. In a pass that goes as far as the record does, for what is in it. */
    const wait = <A>(
      link: Link,
      fiber: AnyFiber,
      key: string,
      look: Waits.Look<A>
    ): Effect.Effect<A> =>
      Effect.flatMap(Effect.clock, (clock) =>
        link.pass.waits.wait(
          { fiber, quiescence: link.quiescence },
          key,
          lookUnlessHidden(link, key, look),
          clock
        )
      )

    // --- steps

    const decodeStep = (
      link: Link,
      fiber: AnyFiber,
      activity: Activity.Any,
      json: Json
    ): StepEnd => {
      const exit = Codec.exitFromJson(activity, json)
      const decoded = Codec.atHand(exit)
      return decoded === undefined
        ? exit.pipe(
            Effect.map((exit) => new Workflow.Complete({ exit })),
            Effect.catchAll((error) =>
              block(link, fiber, `the recorded step "${activity.name}"`, error)
            )
          )
        : Effect.succeed(new Workflow.Complete({ exit: decoded.right }))
    }

    const executeStep = (activity: Activity.Any, attempt: number) =>
      Effect.withFiberRuntime((fiber, { runtimeFlags }): StepEnd => {
        const instance = Context.unsafeGet(fiber.currentContext, WorkflowInstance)
        const link = ownLink(instance)
        if (link === undefined) return outside(activity.name)
        if (activity.name.startsWith(ReservedNames.timerPrefix)) {
          return isVoid(activity)
            ? shortSleep(link, fiber, activity)
            : Effect.dieMessage(ReservedNames.refusal("an Activity", activity.name))
        }
        const key = stepKey(activity.name, attempt)
        const recorded = link.run.steps.get(key)
        if (recorded !== undefined) {
          if (link.nested) link.run.setInner(key)
          link.pass.reach(key)
          return Effect.zipRight(
            link.run.registration.spans.replayed,
            decodeStep(link, fiber, activity, recorded)
          )
        }
        if (isReplayOnly(link)) return stay(link, fiber)
        const refusal = notWellFormed("step name", activity.name)
        if (refusal !== undefined) return Effect.dieMessage(refusal)
        return Effect.flatMap(
          dispatcher.steps.execute(fiber, runtimeFlags, instance, activity, attempt),
          (result): StepEnd => {
            if (result._tag === "Recorded") {
              return result.read === undefined
                ? decodeStep(link, fiber, activity, result.exit)
                : Effect.succeed(new Workflow.Complete({ exit: result.read }))
            }
            if (result.cause !== undefined) suspendOnFailure(link.pass, result.cause)
            return stay(link, fiber)
          }
        )
      })

    // --- timers

    /**
     * `DurableClock.sleep` of up to its in-memory threshold comes as an activity that sleeps. As a
     * step it would hold a drain up and begin anew after a restart, so it is made a timer: its
     * duration is what it asks the Clock for.
     */
    const shortSleep = Effect.fnUntraced(function* (
      link: Link,
      fiber: AnyFiber,
      activity: Activity.Any
    ) {
      const asked: Array<Duration.Duration> = []
      const clock = yield* Effect.clock
      const asking: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Duration.Duration) => Effect.sync(() => asked.push(duration))
      })
      yield* Effect.orDie(Effect.withClock(activity.execute as Effect.Effect<void>, asking))
      const [duration] = asked
      if (duration === undefined || asked.length > 1) {
        return yield* Effect.dieMessage(ReservedNames.refusal("an Activity", activity.name))
      }
      yield* setTimer(link, activity.name, duration)
      yield* inside(link, fiber, wait(link, fiber, activity.name, timerLook(link, activity.name)))
      return new Workflow.Complete({ exit: Exit.void })
    })

    const setTimer = (link: Link, name: string, duration: Duration.Duration) =>
      Effect.zipRight(
        requireWellFormed("timer name", name),
        Effect.map(Clock.currentTimeMillis, (now) =>
          link.run.setTimer(name, now + Duration.toMillis(duration))
        )
      )

    const timerLook =
      (link: Link, name: string): Waits.Look<Json> =>
      (now) => {
        const done = link.run.signals.get(name)
        if (done !== undefined) return { _tag: "There", value: done }
        const timer = link.run.timers.get(name)
        if (timer === undefined) return unknown
        if (!timer.fired && timer.wakeAt > now) return { _tag: "At", time: timer.wakeAt }
        timer.fired = true
        return { _tag: "There", value: Codec.exitVoid }
      }

    // --- deferreds

    const deferredResult = Effect.fnUntraced(function* (deferred: DurableDeferred.Any) {
      const link = yield* requireLink(ownLink(yield* WorkflowInstance), deferred.name)
      yield* requireWellFormed("signal name", deferred.name)
      if (isReserved(link, deferred.name)) {
        return yield* Effect.dieMessage(ReservedNames.refusal("a DurableDeferred", deferred.name))
      }
      const fiber = yield* currentFiber
      const look = timerLook(link, deferred.name)
      let exit: Json
      if (deferred.name.startsWith(ReservedNames.racePrefix)) {
        const now = yield* Clock.currentTimeMillis
        const found = lookUnlessHidden(link, deferred.name, look)(now)
        if (found._tag !== "There") return undefined
        exit = found.value
      } else {
        dispatcher.noteDeferred(link.run.workflowName, deferred)
        exit = yield* inside(link, fiber, wait(link, fiber, deferred.name, look))
      }
      return yield* Effect.catchAll(Codec.exitFromJson(deferred, exit), (error) =>
        block(link, fiber, `the signal "${deferred.name}"`, error)
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
      const link = yield* callersLink
      const own = link?.run.runId === options.executionId ? link : undefined
      const interrupted =
        Exit.isFailure(options.exit) && Cause.isInterruptedOnly(options.exit.cause)
      // `DurableDeferred.into` in a pass that was ended: not an outcome
      if (own !== undefined && (interrupted || own.pass.ended !== undefined)) return
      if (options.deferredName.startsWith(ReservedNames.ownPrefix)) {
        return yield* Effect.dieMessage(
          ReservedNames.refusal("a DurableDeferred", options.deferredName)
        )
      }
      yield* requireWellFormed("signal name", options.deferredName)
      yield* requireWellFormed("run id", options.executionId)
      const exit = yield* Codec.exitToJson(deferred, options.exit).pipe(
        Effect.flatMap(Codec.boundedExit(dispatcher.bounded)),
        orDieAs(`the signal "${options.deferredName}" cannot be stored as JSON`)
      )
      const signal = { runId: options.executionId, name: options.deferredName, exit }
      // a value that was there before stays
      if (link === undefined) {
        yield* Effect.orDie(untilStored(store.signal(signal)))
        return
      }
      const fiber = yield* currentFiber
      yield* inside(
        link,
        fiber,
        asHolder(link, fiber, (by) => by.signal(signal))
      )
    })

    // --- runs

    const newRun = (workflow: Workflow.Any, { executionId, payload }: Execution) =>
      Effect.zipRight(
        requireWellFormed("run id", executionId),
        encodedRun(workflow, { executionId, payload })
      )

    const encodedRun = (workflow: Workflow.Any, { executionId, payload }: Execution) =>
      Effect.withFiberRuntime<NewRun, never, unknown>((fiber) => {
        const json = Codec.payloadToJson(workflow, payload)
        const run = (payload: Json): NewRun => ({
          runId: executionId,
          workflow: workflow.name,
          payload,
          trace: traceOf(fiber.currentSpan)
        })
        return Effect.flatMap(json, dispatcher.bounded).pipe(
          orDieAs(`the payload of workflow "${workflow.name}" cannot be stored as JSON`),
          Effect.map(run)
        )
      })

    const execute = (workflow: Workflow.Any, options: Execution) =>
      Effect.flatMap(callersLink, (link) => {
        if (link !== undefined) return executeChild(workflow, options, link)
        return Effect.flatMap(newRun(workflow, options), (run) =>
          options.discard === true
            ? Effect.as(Effect.orDie(dispatcher.start(run)), run.runId)
            : Effect.flatMap(Effect.orDie(dispatcher.startAndAwait(run)), (exit) =>
                Effect.flatten(Effect.orDie(Codec.exitFromJson(workflow, exit)))
              )
        )
      })

    /** Starts the child, unless the run has done so already. */
    const beginChild = Effect.fnUntraced(function* (
      workflow: Workflow.Any,
      options: Execution,
      link: Link,
      fiber: AnyFiber
    ) {
      const { run } = link
      const runId = options.executionId
      const awaits = options.discard !== true
      if (!awaits) run.setDiscarded(runId, true)
      // one that was discarded before it is awaited does not wake its parent yet
      const unlinked = awaits && run.discarded.has(runId) && run.children.get(runId) === undefined
      if (run.children.has(runId) && (!unlinked || run.interrupting)) return
      const refused = () => isReplayOnly(link) || dispatcher.isDraining(run)
      if (refused()) return yield* stay(link, fiber)
      const child = yield* newRun(workflow, options)
      if (run.isSuspended) yield* dispatcher.activate(run)
      if (refused() || link.pass.ended !== undefined) return yield* stay(link, fiber)
      dispatcher.runs.awaitChild(run, runId)
      const created = yield* asHolder(link, fiber, () =>
        dispatcher.startChild({ ...child, parent: { runId: run.runId, awaits } }, run.held)
      )
      if (!run.children.has(runId) || isFinal(created.status)) run.setChild(runId, created.exit)
      if (awaits) run.setDiscarded(runId, false)
    })

    const executeChild = Effect.fnUntraced(function* (
      workflow: Workflow.Any,
      options: Execution,
      link: Link
    ) {
      const { pass, run } = link
      const runId = options.executionId
      const fiber = yield* currentFiber
      const instance = yield* WorkflowInstance
      if (runId === run.runId && options.discard !== true) {
        return yield* Effect.dieMessage(
          `run ${runId} of workflow "${workflow.name}" awaits itself, which would never end`
        )
      }
      const begin = inside(link, fiber, beginChild(workflow, options, link, fiber))
      const key = childKey(runId)
      const inner = link.nested || instance !== pass.instance
      if (options.discard === true) {
        yield* begin
        if (link.nested) run.setInner(key)
        pass.reach(key)
        return runId
      }
      const childLook: Waits.Look<Json> = () => {
        const exit = run.children.get(runId)
        return exit === undefined ? unknown : { _tag: "There", value: exit }
      }
      yield* begin
      const exit = yield* inside(link, fiber, wait(link, fiber, key, childLook))
      if (inner) run.setInner(key)
      pass.reach(key)
      const decoded = yield* Effect.catchAll(Codec.exitFromJson(workflow, exit), (error) =>
        block(link, fiber, `the result of child ${runId}`, error)
      )
      return yield* decoded
    })

    /** Tells a run something, in the name of the run in which this is called. */
    const tell = (
      workflow: Workflow.Any,
      runId: string,
      write: (
        store: Pick<WritesOfHolder, "requestInterrupt" | "wake">
      ) => Effect.Effect<unknown, RunStoreError | RunLost>
    ): Effect.Effect<void> => {
      const told: typeof write = (store) =>
        Effect.zipRight(requireRunOf(workflow, runId), write(store))
      return Effect.asVoid(
        Effect.flatMap(callersLink, (link) =>
          link === undefined
            ? Effect.orDie(told(store))
            : Effect.flatMap(currentFiber, (fiber) =>
                inside(link, fiber, asHolder(link, fiber, told))
              )
        )
      )
    }

    const requireRunOf = (workflow: Workflow.Any, runId: string) =>
      Effect.flatMap(store.find(runId), (run) =>
        Option.isSome(run) && run.value.workflow !== workflow.name
          ? Effect.dieMessage(
              `run ${runId} is one of workflow "${run.value.workflow}", not of "${workflow.name}"`
            )
          : Effect.void
      )

    const poll = Effect.fnUntraced(function* (workflow: Workflow.Any, runId: string) {
      const run = Option.getOrUndefined(yield* Effect.orDie(store.find(runId)))
      // one of another workflow is not there for this one
      if (run === undefined || run.workflow !== workflow.name) return undefined
      if (run.status === "suspended") {
        return run.cause === undefined
          ? suspended
          : new Workflow.Suspended({ cause: Codec.causeFromJson(run.cause) })
      }
      if (!isFinal(run.status) || run.exit === undefined) return undefined
      const exit = yield* Effect.orDie(Codec.exitFromJson(workflow, run.exit))
      return new Workflow.Complete({ exit })
    })

    /** Tells a run something, unless it is one of another workflow. */
    // The service's types tie each call to the schemas of its definition; the functions above work on
    // any of them, through those schemas.
    return WorkflowEngine.of({
      register: Effect.fnUntraced(function* (workflow, execute) {
        yield* requireWellFormed("workflow name", workflow.name)
        yield* dispatcher.register({
          workflow,
          origin: Fibers.interruptible(yield* Effect.runtime()),
          spans: yield* Spans.make,
          draining: Effect.unsafeMakeLatch(false),
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
      interrupt: (workflow, runId) =>
        tell(workflow, runId, ({ requestInterrupt }) => requestInterrupt(runId)),
      resume: (workflow, runId) => tell(workflow, runId, ({ wake }) => wake(runId)),
      activityExecute: executeStep,
      deferredResult,
      deferredDone,
      scheduleClock: (_, { clock, executionId }) =>
        Effect.flatMap(callersLink, (link) =>
          link?.run.runId === executionId
            ? setTimer(link, clock.deferred.name, clock.duration)
            : Effect.dieMessage("a DurableClock is scheduled by its own run only")
        )
    } as Upstream.WorkflowEngine["Type"])
  })

const retrySchedule = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("1 second"))
)

export const layer: Layer.Layer<Upstream.WorkflowEngine, never, RunStore | Dispatcher> =
  Layer.effect(WorkflowEngine, make)

/** As `DurableClock.sleep` makes its activity. */
const isVoid = ({ errorSchema, successSchema }: Activity.Any) =>
  successSchema === Schema.Void && errorSchema === Schema.Never

/** A deferred that is named as one of the engine's, and is none: a timer is set before it is awaited. */
const isReserved = ({ run }: Link, name: string) =>
  name.startsWith(ReservedNames.ownPrefix) ||
  (name.startsWith(ReservedNames.timerPrefix) && !run.timers.has(name))

/** In a pass that goes as far as the record does, where nothing new is begun. */
const isReplayOnly = ({ nested, pass }: Link) => pass.isReplayOnly && !nested

/** What has come after the interrupt is not there for what the interrupt ends. */
const lookUnlessHidden =
  <A>(link: Link, key: string, look: Waits.Look<A>): Waits.Look<A> =>
  (now) =>
    isReplayOnly(link) && link.run.isAfterInterrupt(key) ? unknown : look(now)

const currentFiber: Effect.Effect<AnyFiber> = Effect.withFiberRuntime((fiber) =>
  Effect.succeed(fiber)
)

/** A step failed whose workflow suspends then: so it does, once nothing else is under way. */
const suspendOnFailure = (pass: Pass, cause: Cause.Cause<never>): void => {
  pass.failure = pass.failure === undefined ? cause : Cause.sequential(pass.failure, cause)
}

/** Only a span of this process has been told to whoever looks at them. */
const traceOf = (span: AnySpan | undefined): Trace | undefined =>
  span?._tag === "Span"
    ? { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
    : undefined

const requireLink = (link: Link | undefined, what: string): Effect.Effect<Link> =>
  link === undefined ? outside(what) : Effect.succeed(link)

const outside = (what: string) =>
  Effect.dieMessage(`"${what}" was used outside of a run of this engine`)

/** A name that the store would not give back as it was. */
const requireWellFormed = (what: string, name: string): Effect.Effect<void> => {
  const refusal = notWellFormed(what, name)
  return refusal === undefined ? Effect.void : Effect.dieMessage(refusal)
}

/** What the caller has handed in is at fault, and the caller is told what of it. */
const orDieAs =
  (what: string) =>
  <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>): Effect.Effect<A, never, R> =>
    Effect.orDieWith(effect, (error) => new Error(`${what}: ${error.message}`, { cause: error }))

type WriteError = RunStoreError | RunLost | RunIdTaken

const isPassing = (error: unknown) => error instanceof RunStoreError && mayPass(error)

/** A write of a run that has nowhere to report to; the store is waited for. */
const untilStored = <A>(write: Effect.Effect<A, WriteError>): Effect.Effect<A, RunLost> =>
  write.pipe(
    Effect.tapError((error) =>
      isPassing(error)
        ? Effect.logWarning("store write failed; trying again", Cause.fail(error))
        : Effect.void
    ),
    Effect.retry({ while: isPassing, schedule: retrySchedule }),
    Effect.catchAll((error) => (error._tag === "RunLost" ? Effect.fail(error) : Effect.die(error)))
  )
