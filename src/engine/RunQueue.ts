/**
 * How many runs of a workflow are under way at a time, and how many begin in a while: for all executors
 * together, and for each key of their payloads.
 *
 * @example
 * ```ts
 * const Invoice = Workflow.make({
 *   name: "Invoice",
 *   payload: { customer: Schema.String, month: Schema.String },
 *   idempotencyKey: ({ customer, month }) => `${customer}/${month}`
 * }).annotate(
 *   RunQueue.RunQueue,
 *   // five at a time for a customer, fifty in all, and a hundred begin in a minute for a customer
 *   RunQueue.make({
 *     key: ({ customer }: { readonly customer: string }) => customer,
 *     concurrency: 50,
 *     concurrencyPerKey: 5,
 *     rateLimit: { limit: 100, window: "1 minute" }
 *   })
 * )
 * ```
 */
import type { Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Arrival, QueueOf } from "../store/RunStore.js"
import { isWellFormed } from "../values/WellFormed.js"

export interface Options<Payload> {
  /**
   * What it is called, by which its limits are changed and it is paused. Workflows with the same name
   * share a queue; what the last of them to start a run declares counts. Default: the workflow's name.
   */
  readonly name?: string | undefined
  /** For whom a run is, of its payload: up to 256 characters. Default: all are for one. */
  readonly key?: ((payload: Payload) => string) | undefined
  /** At most so many are under way. Default: no bound. */
  readonly concurrency?: number | undefined
  /** At most so many of a key. Default: no bound. */
  readonly concurrencyPerKey?: number | undefined
  /** At most so many of a key begin within any `window` of that length. Default: no bound. */
  readonly rateLimit?:
    | { readonly limit: number; readonly window: Duration.DurationInput }
    | undefined
  /**
   * Whether a run that waits for a signal, a timer or a child counts as under way. One that does not
   * lets another begin, and waits for its turn again when it goes on. Default: false.
   */
  readonly keepSlot?: boolean | undefined
  /**
   * A start waits for `period`; one of the same key that comes meanwhile takes its place, and waits
   * anew, but no longer than `maxWait` after the first (default: no bound). Of those whose place was
   * taken there is no run. Not with `singleton`.
   */
  readonly debounce?:
    | {
        readonly period: Duration.DurationInput
        readonly maxWait?: Duration.DurationInput | undefined
      }
    | undefined
  /**
   * One of a key at a time, also while it is suspended. A start while another is not over is not made,
   * and answered with that one (`skip`), or asks for its interrupt and begins after it (`cancel`). Not
   * with `concurrencyPerKey` or `debounce`.
   */
  readonly singleton?: "skip" | "cancel" | undefined
}

/** A queue, as a workflow is annotated with it. */
export interface Declared {
  readonly name: string | undefined
  readonly key: (payload: unknown) => string
  readonly limits: QueueOf["limits"]
  readonly arrival: Arrival | undefined
}

/** The limits are not what is allowed. A fault in the app's code. */
export class InvalidQueue extends Data.TaggedError("InvalidQueue")<{ readonly message: string }> {}

/** An annotation of a workflow. Default: none. */
export class RunQueue extends Context.Reference<RunQueue>()("effect-workflow-executor/RunQueue", {
  defaultValue: (): Declared | undefined => undefined
}) {}

const atLeastOne = (name: string, value: number | undefined) => {
  if (value === undefined || (Number.isSafeInteger(value) && value > 0)) return
  throw new InvalidQueue({ message: `${name}: ${value} is not a whole number of 1 or more` })
}

const maxNameLength = 256

const text = (what: string, value: string): string => {
  if (value.length <= maxNameLength && isWellFormed(value)) return value
  throw new InvalidQueue({
    message: `${what} of a queue has ${value.length} characters; at most ${maxNameLength} are allowed, without half of a surrogate pair`
  })
}

const millisOf = (name: string, duration: Duration.DurationInput): number => {
  const millis = Option.match(Duration.decodeUnknown(duration), {
    onNone: () => Number.NaN,
    onSome: Duration.toMillis
  })
  if (millis >= 1 && Number.isFinite(millis)) return Math.ceil(millis)
  throw new InvalidQueue({
    message: `${name}: ${String(duration)}; a finite duration of 1 millisecond or more is allowed`
  })
}

const windowOf = ({ limit, window }: NonNullable<Options<never>["rateLimit"]>) => {
  atLeastOne("rateLimit.limit", limit)
  return { limit, window: millisOf("rateLimit.window", window) }
}

const debounceOf = ({ maxWait, period }: NonNullable<Options<never>["debounce"]>) => ({
  period: millisOf("debounce.period", period),
  ...(maxWait === undefined ? {} : { maxWait: millisOf("debounce.maxWait", maxWait) })
})

const singletons: ReadonlySet<unknown> = new Set(["skip", "cancel"])

/** What a start does to others; throws where two options contradict each other. */
const arrivalOf = ({
  concurrencyPerKey,
  debounce,
  singleton
}: Options<never>): Arrival | undefined => {
  if (debounce !== undefined && singleton !== undefined) {
    throw new InvalidQueue({ message: "debounce and singleton: one of the two is allowed" })
  }
  if (debounce !== undefined) return { debounce: debounceOf(debounce) }
  if (singleton === undefined) return undefined
  if (!singletons.has(singleton)) {
    throw new InvalidQueue({
      message: `singleton: ${JSON.stringify(singleton)}; "skip" and "cancel" are allowed`
    })
  }
  if (concurrencyPerKey !== undefined) {
    throw new InvalidQueue({ message: "concurrencyPerKey: a singleton's is 1" })
  }
  return { singleton }
}

/** Throws `InvalidQueue`. */
export const make = <Payload>(options: Options<Payload>): Declared => {
  const { concurrency, concurrencyPerKey, key, keepSlot = false, name, rateLimit } = options
  atLeastOne("concurrency", concurrency)
  atLeastOne("concurrencyPerKey", concurrencyPerKey)
  const arrival = arrivalOf(options)
  const perKey = arrival?.singleton === undefined ? concurrencyPerKey : 1
  return {
    name: name === undefined ? undefined : text("the name", name),
    // it is evaluated on the payload of the workflow that is annotated with it
    key: key === undefined ? () => "" : (payload) => text("a key", key(payload as Payload)),
    limits: {
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(perKey === undefined ? {} : { perKey }),
      ...(rateLimit === undefined ? {} : { rate: windowOf(rateLimit) }),
      ...(keepSlot || arrival?.singleton !== undefined ? { keepsSlot: true } : {})
    },
    arrival
  }
}

/** What the queue of a workflow's runs is called; `undefined` where they are in none. */
export const nameOf = (workflow: Workflow.Any): string | undefined => {
  const declared = Context.get(workflow.annotations, RunQueue)
  return declared === undefined ? undefined : (declared.name ?? workflow.name)
}

/**
 * The queue that a run with this payload is in, where a workflow executes it and waits for it: that
 * one is neither skipped nor replaced. Throws what its `key` throws.
 */
export const of = (workflow: Workflow.Any, payload: unknown): QueueOf | undefined => {
  const declared = Context.get(workflow.annotations, RunQueue)
  if (declared === undefined) return undefined
  const { key, limits, name = workflow.name } = declared
  return { name, key: key(payload), limits }
}

/** The same of a run that is started. */
export const ofStart = (workflow: Workflow.Any, payload: unknown): QueueOf | undefined => {
  const queue = of(workflow, payload)
  const arrival = Context.get(workflow.annotations, RunQueue)?.arrival
  return queue === undefined || arrival === undefined ? queue : { ...queue, arrival }
}
