/**
 * What a workflow that is an async function does its work with.
 */
import * as Activity from "@effect/workflow/Activity"
import * as DurableClock from "@effect/workflow/DurableClock"
import * as DurableDeferred from "@effect/workflow/DurableDeferred"
import type * as Workflow from "@effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Step from "../engine/Step.js"
import * as Draining from "../engine/step/Draining.js"
import * as Programs from "../engine/step/Programs.js"
import * as Given from "../internal/Given.js"
import { InvalidPayload } from "../runner/Runs.js"
import { AnyJson } from "../values/AnyJson.js"
import { canonical } from "../values/Canonical.js"
import * as ReservedNames from "../values/ReservedNames.js"
import * as Typed from "../values/Typed.js"
import { type Ask, type Conversation, type Env, unlessSuspended } from "./Conversation.js"
import { RecordedError, RecordedErrorSchema, recorded } from "./RecordedError.js"
import { check, type StandardSchema } from "./StandardSchema.js"
import { digest, StepInPromise } from "./StepInPromise.js"

/** What a step's function gets. */
export interface StepContext {
  /**
   * Aborts when the step is not to go on: its time is up, its run is interrupted, or the stop
   * timeout has come. Give it to whatever can be aborted: nobody waits for the step any more.
   */
  readonly signal: AbortSignal
  /**
   * Aborts early, when a drain begins: the step has until the stop timeout to end. What it returns
   * is recorded. If it rejects with this signal's `reason`, or with an error whose `cause` that is,
   * it has come to nothing, and executes again where its run goes on.
   */
  readonly draining: AbortSignal
  /** 1, 2, 3 and so on. */
  readonly attempt: number
  /** The same for all attempts of this step in this run, and for no other: 64 hexadecimal digits. */
  readonly idempotencyKey: string
}

/** The first wait; those that follow are `factor` times as long, up to `max`. */
export interface Backoff {
  readonly initial: Duration.DurationInput
  /** Default: 2. */
  readonly factor?: number | undefined
  /** Default: 1 minute, or `initial` where that is longer. */
  readonly max?: Duration.DurationInput | undefined
}

export interface StepOptions {
  /** How often it is tried again at most. Default: 0. */
  readonly retries?: number | undefined
  /** The waits in between, or the first one. Default: 1 second, then twice as long each time. */
  readonly backoff?: Duration.DurationInput | Backoff | undefined
  /** Whether an error is worth another attempt; may depend on the error alone. Default: each is. */
  readonly retryWhile?: ((error: RecordedError) => boolean) | undefined
  /**
   * How long one attempt may take: then it fails, with an error of the name `TimeoutError`.
   * Default: for ever.
   */
  readonly timeout?: Duration.DurationInput | undefined
}

export interface SignalOptions<A> {
  /** What the value has to be; one that is not rejects, with an error of the name `InvalidSignal`. */
  readonly schema?: StandardSchema<unknown, A> | undefined
  /**
   * How long to wait for it: then it rejects, with an error of the name `TimeoutError`. Which of the
   * two came first is recorded. Default: for ever.
   */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Each call answers with a promise. Await it, at once or by `Promise.all`: what nobody awaits when
 * the function returns is given up. Await nothing else but these, outside of a step.
 */
export interface WorkflowContext {
  readonly runId: string

  /**
   * Executes the function, and records what it returns, as JSON. On replay it is not executed: the
   * promise has what was recorded. It rejects with a `RecordedError` of what the function threw.
   *
   * A name that this run has had already gets `#2`, then `#3`, in the order of the calls. Where
   * branches of the workflow run concurrently that order may be another on replay: give each a name
   * of its own there.
   */
  readonly step: <A>(
    name: string,
    execute: (step: StepContext) => A | PromiseLike<A>,
    options?: StepOptions
  ) => Promise<A>

  /**
   * Waits, for a moment or for months; a restart does not begin it anew. It is known by its duration,
   * or by a name, and by a number like a step: branches that run concurrently and sleep as long as
   * each other give theirs names.
   */
  readonly sleep: (duration: Duration.DurationInput, name?: string) => Promise<void>

  /** Waits for the signal of that name. Every call with one name has the first value. */
  readonly signal: <A = unknown>(name: string, options?: SignalOptions<A>) => Promise<A>

  /**
   * Executes another workflow as a run of its own, and waits for its end. Rejects with its error.
   *
   * A workflow that has no `idempotencyKey` is one run for each call.
   */
  readonly child: <W extends Workflow.Any>(
    workflow: W,
    ...[payload]: Typed.Arguments<W>
  ) => Promise<Typed.Success<W>>
}

/** Whether runs of a workflow that are children are told apart by their payloads. */
export const OwnKey: unique symbol = Symbol.for("effect-workflow-executor/OwnKey")

/** Names that the engine uses itself. */
const reserved = [ReservedNames.timerPrefix, ReservedNames.racePrefix, ReservedNames.ownPrefix]

const checked = (name: string): string => {
  if (typeof name !== "string" || name === "") {
    throw new TypeError("The name of a step or a signal is a text that is not empty")
  }
  const prefix = reserved.find((prefix) => name.startsWith(prefix))
  if (prefix === undefined) return name
  throw new TypeError(
    `The name of a step or a signal does not begin with ${prefix}: ${JSON.stringify(name)}`
  )
}

/** Gives a name that was given before a number. */
const names = () => {
  const given = new Set<string>()
  return (name: string): string => {
    let unique = name
    for (let n = 2; given.has(unique); n++) unique = `${name}#${n}`
    given.add(unique)
    return unique
  }
}

/** Until a time that is past it is no wait. */
const waits = { orNegative: true, orInfinity: true }

/** In whole milliseconds: a timer has no other. */
const wholeMillis = (option: string, duration: Duration.DurationInput) =>
  Duration.millis(Math.ceil(Duration.toMillis(Given.duration(option, duration, waits))))

const defaultMax = Duration.minutes(1)

const isBackoff = (backoff: Duration.DurationInput | Backoff): backoff is Backoff =>
  typeof backoff === "object" && "initial" in backoff

const scheduleOf = (given: Duration.DurationInput | Backoff) => {
  const backoff: Backoff = isBackoff(given) ? given : { initial: given }
  const initial = Given.duration("backoff", backoff.initial)
  const max = Given.duration("backoff.max", backoff.max ?? Duration.max(initial, defaultMax))
  return Schedule.exponential(initial, backoff.factor ?? 2).pipe(
    Schedule.delayed((delay) => Duration.min(delay, max))
  )
}

const tookLonger = (what: string, timeout: Duration.DurationInput) =>
  new RecordedError("TimeoutError", `${what} took longer than ${Duration.format(timeout)}`)

/** Calls a step's function. */
const called = async <A>(
  execute: (step: StepContext) => A | PromiseLike<A>,
  step: StepInPromise
): Promise<A> => {
  try {
    return await execute(step)
  } finally {
    step.end()
  }
}

/** What a step's promise rejects with is recorded, unless it says that a drain has begun. */
const rejected = (error: unknown, instance: WorkflowInstance["Type"]): RecordedError => {
  if (Draining.isBecauseOf(error)) Draining.giveUp(instance)
  return recorded(error)
}

/** What was recorded of an `A`; nobody checks that it still is one. */
const recordedOf = <A, E>(effect: Effect.Effect<unknown, E, Env>) =>
  effect as Effect.Effect<A, E, Env>

/** As the engine takes it: its types ask for one workflow, and these are any. */
const executable = <W extends Workflow.Any>(workflow: W) =>
  workflow as Workflow.Any as Workflow.Workflow<
    string,
    Workflow.AnyStructSchema,
    Schema.Schema<Typed.Success<W>, unknown>,
    Schema.Schema<unknown, unknown>
  >

const Arrival = Schema.Struct({ arrived: Schema.Boolean, value: Schema.optional(Schema.Unknown) })

export const make = (conversation: Conversation<unknown>, runId: string): WorkflowContext => {
  const ask: Ask = conversation.ask
  const stepName = names()
  const sleepName = names()
  const signalName = names()
  const childName = names()

  const stepOf = <A>(
    name: string,
    execute: (step: StepContext) => A | PromiseLike<A>,
    { backoff = "1 second", retries = 0, retryWhile, timeout }: StepOptions
  ) => {
    Given.wholeNumber("retries", retries, { min: 0, orInfinity: true })
    const allowed = timeout === undefined ? undefined : Given.duration("timeout", timeout, waits)
    const attempted = Effect.flatMap(
      Effect.all([Activity.CurrentAttempt, WorkflowInstance]),
      ([attempt, instance]) =>
        Effect.tryPromise({
          try: (signal) =>
            Programs.within(instance, () =>
              conversation.inStep(() =>
                called(execute, new StepInPromise(instance, name, attempt, signal))
              )
            ),
          catch: (error) => rejected(error, instance)
        })
    )
    const activity = Activity.make({
      name,
      success: AnyJson,
      error: RecordedErrorSchema,
      execute:
        allowed === undefined
          ? attempted
          : Effect.timeoutFail(attempted, {
              duration: allowed,
              onTimeout: () => tookLonger(`Step ${JSON.stringify(name)}`, allowed)
            })
    })
    if (retries === 0) return activity
    return Step.retry(activity, {
      times: retries,
      schedule: scheduleOf(backoff),
      while: retryWhile
    })
  }

  const signalOf = (name: string, unique: string, timeout: Duration.DurationInput | undefined) => {
    const value = DurableDeferred.await(DurableDeferred.make(name, { success: Schema.Unknown }))
    if (timeout === undefined) return value
    type Either = Effect.Effect<typeof Arrival.Type, never, Env>
    const arrives: Either = Effect.map(value, (value) => ({ arrived: true, value }))
    const late: Either = Effect.as(
      DurableClock.sleep({
        name: `signal/${unique}/timeout`,
        duration: wholeMillis("timeout", timeout)
      }),
      { arrived: false }
    )
    return DurableDeferred.raceAll({
      name: `signal/${unique}`,
      success: Arrival,
      error: Schema.Never,
      effects: [arrives, late]
    }).pipe(
      Effect.flatMap(({ arrived, value }) =>
        arrived
          ? Effect.succeed(value)
          : Effect.fail(tookLonger(`Signal ${JSON.stringify(name)}`, timeout))
      )
    )
  }

  const childOf = <W extends Workflow.Any>(workflow: W, payload: Typed.Payload<W> | undefined) =>
    Effect.gen(function* () {
      const engine = yield* WorkflowEngine
      const encoded = yield* Typed.encodePayload(workflow, payload)
      const decoded = yield* Schema.decodeUnknown(workflow.payloadSchema)(encoded ?? {}).pipe(
        Effect.mapError(({ message }) => new InvalidPayload({ workflow: workflow.name, message }))
      )
      const executionId =
        OwnKey in workflow && workflow[OwnKey] === false
          ? // by its payload first: the order of calls may be another on replay
            digest(`${runId}/${childName(`${workflow.name}/${canonical(encoded)}`)}`).slice(0, 32)
          : yield* workflow.executionId(decoded)
      const child = yield* unlessSuspended(
        engine.execute(executable(workflow), { executionId, payload: decoded })
      )
      if (Exit.isFailure(child) && Cause.isInterruptedOnly(child.cause)) {
        return yield* new Typed.RunInterrupted({ runId: executionId })
      }
      return yield* child
    })

  return {
    runId,
    step: (name, execute, options = {}) =>
      ask(() => recordedOf(stepOf(stepName(checked(name)), execute, options))),
    sleep: (given, name) =>
      ask(() => {
        const duration = wholeMillis("the duration of a sleep", given)
        return DurableClock.sleep({
          name: `sleep/${sleepName(name ?? Duration.format(duration))}`,
          duration
        })
      }),
    signal: (name, { schema, timeout } = {}) =>
      ask(() => {
        const value = signalOf(name, signalName(checked(name)), timeout)
        if (schema === undefined) return recordedOf(value)
        return Effect.flatMap(value, (value) =>
          Effect.mapError(
            check(schema, value),
            ({ message }) => new RecordedError("InvalidSignal", message)
          )
        )
      }),
    child: (workflow, ...[payload]) => ask(() => childOf(workflow, payload))
  }
}
