/**
 * How an executor behaves. Every field has a default; `layerFromEnv` reads the environment.
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Given from "../internal/Given.js"
import * as Variable from "../internal/Variable.js"

export { InvalidOption } from "../internal/Given.js"

export interface RunnerOptions {
  /**
   * How long a drain may take, counted from its beginning. Steps that are still in flight then are
   * named in the log and interrupted. Zero cuts them at once. Default: 30 seconds.
   */
  readonly stopTimeout: Duration.DurationInput
  /**
   * How long the finalizers of steps that were cut at the stop timeout may take. What takes longer
   * is left behind; its writes are refused. Default: 2 seconds.
   */
  readonly stopGrace: Duration.DurationInput
  /**
   * How long the resources of the workflows may take to be released after the drain. What takes
   * longer is left behind, logged, and the stop counts as failed. Default: 10 seconds.
   */
  readonly closeTimeout: Duration.DurationInput
  /**
   * How long the runs of an executor that died stay with it before another takes them over. A
   * living one renews its lease three times as often; one that is frozen for longer loses its runs.
   * At least 1 second. Default: 15 seconds.
   */
  readonly leaseDuration: Duration.DurationInput
  /**
   * How many runs this executor has under way at a time; suspended runs do not count. At least 1.
   * Default: 1,000.
   */
  readonly maxConcurrentRuns: number
  /**
   * How many suspended runs this executor keeps in memory, to go on with them where they are. Those
   * that will wait longest go first; one that is not in memory is replayed from its record. 0 keeps
   * none. Default: 1,000.
   */
  readonly maxWarmRuns: number
  /**
   * How many bytes of recorded JSON the suspended runs in memory may have in all. Default: 64 MiB.
   */
  readonly maxWarmBytes: number
  /**
   * How many bytes of recorded JSON the runs under way may have in all for another to be begun; one
   * is begun whatever it has. At least 1. Default: 64 MiB.
   */
  readonly maxConcurrentBytes: number
  /**
   * How many bytes of recorded JSON a run may have: its payload, outcomes of steps, signals and
   * results of children. One that comes to more is suspended with an error that says so, and waits
   * to be resumed by an executor that allows more. At least 1,024. Default: 64 MiB.
   */
  readonly maxRunSize: number
  /**
   * How many executors in a row may die while a run is under way, from the second on in its code or
   * in a step of it, without its getting somewhere in between (a step that is recorded, or a wait),
   * before the run is set aside: suspended, with an error that names the step, until somebody resumes
   * it. From the second on it comes back after a pause, and one run at a time. At least 3, for with
   * fewer nothing tells it from the runs beside it. `Infinity` does none of this, and counts nothing. Default: 3.
   */
  readonly maxCrashes: number
  /** How many steps this executor has in flight at a time. At least 1. Default: 500. */
  readonly maxConcurrentSteps: number
  /**
   * How many bytes a payload, a signal, a step's outcome and a run's result may have as JSON. A
   * larger payload or signal is refused; a step or a run that comes to more fails, with a defect
   * that says so. At least 1,024. Default: 2 MiB.
   */
  readonly maxValueSize: number
  /**
   * How long runs are kept that are over. They are removed in small batches, once a minute.
   * `Duration.infinity` keeps them. At least 1 second. Default: for ever.
   */
  readonly retention: Duration.DurationInput
  /**
   * How many runs are kept that are over, those of all workflows that ended last; `Infinity` keeps
   * them all. Default: all.
   */
  readonly retentionCount: number
  /**
   * How long a signal is kept whose run is not there: it came before its run, which nobody has
   * started. So long it is also remembered which runs were removed, for a signal that comes for one
   * of those is not for another that is started under the same key, and is dropped.
   * `Duration.infinity` keeps both for ever. At least 1 second. Default: 7 days.
   */
  readonly signalRetention: Duration.DurationInput
}

export class RunnerConfig extends Context.Tag("effect-workflow-executor/RunnerConfig")<
  RunnerConfig,
  {
    readonly stopTimeout: Duration.Duration
    readonly stopGrace: Duration.Duration
    readonly closeTimeout: Duration.Duration
    readonly leaseDuration: Duration.Duration
    readonly maxConcurrentRuns: number
    readonly maxWarmRuns: number
    readonly maxWarmBytes: number
    readonly maxConcurrentBytes: number
    readonly maxRunSize: number
    readonly maxCrashes: number
    readonly maxConcurrentSteps: number
    readonly maxValueSize: number
    readonly retention: Duration.Duration
    readonly retentionCount: number
    readonly signalRetention: Duration.Duration
  }
>() {}

export const defaults: RunnerConfig["Type"] = {
  stopTimeout: Duration.seconds(30),
  stopGrace: Duration.seconds(2),
  closeTimeout: Duration.seconds(10),
  leaseDuration: Duration.seconds(15),
  maxConcurrentRuns: 1000,
  maxWarmRuns: 1000,
  maxWarmBytes: 64 * 1024 * 1024,
  maxConcurrentBytes: 64 * 1024 * 1024,
  maxRunSize: 64 * 1024 * 1024,
  maxCrashes: 3,
  maxConcurrentSteps: 500,
  maxValueSize: 2 * 1024 * 1024,
  retention: Duration.infinity,
  retentionCount: Number.POSITIVE_INFINITY,
  signalRetention: Duration.days(7)
}

const leastLease = Duration.seconds(1)
const leastRetention = Duration.seconds(1)
const leastCrashes = 3
const leastSize = 1_024
const largestValue = 512 * 1024 * 1024

const within = {
  stopTimeout: {},
  stopGrace: {},
  closeTimeout: {},
  leaseDuration: { min: leastLease },
  retention: { min: leastRetention, orInfinity: true },
  signalRetention: { min: leastRetention, orInfinity: true }
} as const

const counts = {
  maxConcurrentRuns: { min: 1 },
  maxWarmRuns: { min: 0 },
  maxWarmBytes: { min: 0 },
  maxConcurrentBytes: { min: 1 },
  maxRunSize: { min: leastSize },
  maxCrashes: { min: leastCrashes, orInfinity: true },
  maxConcurrentSteps: { min: 1 },
  maxValueSize: { min: leastSize, max: largestValue },
  retentionCount: { min: 0, orInfinity: true }
} as const

/**
 * The defaults, but for what is given.
 *
 * @throws InvalidOption where that is not allowed
 */
export const make = (options: Partial<RunnerOptions> = {}): RunnerConfig["Type"] => {
  const duration = (name: keyof typeof within) =>
    Given.duration(name, options[name] ?? defaults[name], within[name])
  const count = (name: keyof typeof counts) =>
    Given.wholeNumber(name, options[name] ?? defaults[name], counts[name])
  return {
    stopTimeout: duration("stopTimeout"),
    stopGrace: duration("stopGrace"),
    closeTimeout: duration("closeTimeout"),
    leaseDuration: duration("leaseDuration"),
    maxConcurrentRuns: count("maxConcurrentRuns"),
    maxWarmRuns: count("maxWarmRuns"),
    maxWarmBytes: count("maxWarmBytes"),
    maxConcurrentBytes: count("maxConcurrentBytes"),
    maxRunSize: count("maxRunSize"),
    maxCrashes: count("maxCrashes"),
    maxConcurrentSteps: count("maxConcurrentSteps"),
    maxValueSize: count("maxValueSize"),
    retention: duration("retention"),
    retentionCount: count("retentionCount"),
    signalRetention: duration("signalRetention")
  }
}

/** An option that is not allowed is a defect: `InvalidOption`. */
export const layer = (options: Partial<RunnerOptions> = {}): Layer.Layer<RunnerConfig> =>
  Layer.sync(RunnerConfig, () => make(options))

const atLeast = (name: string, min: number, fallback: number) =>
  Variable.integer(name, {
    min,
    max: Number.MAX_SAFE_INTEGER,
    allowed: `a whole number of ${min} or more`
  }).pipe(Config.withDefault(fallback))

const maxCrashes = Variable.make("MAX_CRASHES", {
  allowed: `a whole number of ${leastCrashes} or more, or "off"`,
  parse: (text) =>
    text.toLowerCase() === "off"
      ? Number.POSITIVE_INFINITY
      : Variable.wholeNumber(text, { min: leastCrashes, max: Number.MAX_SAFE_INTEGER })
}).pipe(Config.withDefault(defaults.maxCrashes))

const atLeastOne = (name: string, fallback: number) => atLeast(name, 1, fallback)

/**
 * `STOP_TIMEOUT`, `LEASE_DURATION`, `RETENTION`, `SIGNAL_RETENTION` (durations such as `30 seconds`),
 * `MAX_CONCURRENT_RUNS`, `MAX_CONCURRENT_BYTES`, `MAX_WARM_RUNS`, `MAX_WARM_BYTES`, `MAX_CRASHES`,
 * `MAX_CONCURRENT_STEPS`, `MAX_RUN_SIZE`, `MAX_VALUE_SIZE` (bytes) and `RETENTION_COUNT`.
 */
export const config: Config.Config<RunnerConfig["Type"]> = Config.all({
  stopTimeout: Variable.duration("STOP_TIMEOUT", {
    option: "--stop-timeout",
    min: Duration.zero,
    allowed: 'a duration such as "30 seconds", "500 millis" or "2 minutes", or 0'
  }).pipe(Config.withDefault(defaults.stopTimeout)),
  leaseDuration: Variable.duration("LEASE_DURATION", {
    min: leastLease,
    allowed: 'a duration of at least 1 second, such as "15 seconds" or "1 minute"'
  }).pipe(Config.withDefault(defaults.leaseDuration)),
  maxConcurrentRuns: atLeastOne("MAX_CONCURRENT_RUNS", defaults.maxConcurrentRuns),
  maxWarmRuns: atLeast("MAX_WARM_RUNS", 0, defaults.maxWarmRuns),
  maxWarmBytes: atLeast("MAX_WARM_BYTES", 0, defaults.maxWarmBytes),
  maxConcurrentBytes: atLeastOne("MAX_CONCURRENT_BYTES", defaults.maxConcurrentBytes),
  maxRunSize: Variable.integer("MAX_RUN_SIZE", {
    min: leastSize,
    max: Number.MAX_SAFE_INTEGER,
    allowed: "a whole number of bytes of 1024 or more"
  }).pipe(Config.withDefault(defaults.maxRunSize)),
  maxCrashes,
  maxConcurrentSteps: atLeastOne("MAX_CONCURRENT_STEPS", defaults.maxConcurrentSteps),
  maxValueSize: Variable.integer("MAX_VALUE_SIZE", {
    min: leastSize,
    max: largestValue,
    allowed: "a whole number of bytes from 1024 to 536870912"
  }).pipe(Config.withDefault(defaults.maxValueSize)),
  retention: Variable.duration("RETENTION", {
    min: leastRetention,
    allowed: 'a duration of at least 1 second, such as "30 days"'
  }).pipe(Config.withDefault(defaults.retention)),
  retentionCount: Variable.integer("RETENTION_COUNT", {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    allowed: "a whole number of 0 or more"
  }).pipe(Config.withDefault(defaults.retentionCount)),
  signalRetention: Variable.duration("SIGNAL_RETENTION", {
    min: leastRetention,
    allowed: 'a duration of at least 1 second, such as "7 days"'
  }).pipe(Config.withDefault(defaults.signalRetention))
}).pipe(Config.map((read) => ({ ...defaults, ...read })))

export const layerFromEnv: Layer.Layer<RunnerConfig, ConfigError> = Layer.effect(
  RunnerConfig,
  config
)
