/** What the commands of queues do. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { QueueLimitsView, QueueView } from "../api/Queues.js"
import { UsageError } from "./Failures.js"
import * as Output from "./Output.js"
import { type Options, on } from "./RunsCommands.js"

const rateOf = ({ rateLimit }: QueueLimitsView) =>
  rateLimit === undefined
    ? "-"
    : `${rateLimit.limit} in ${Duration.format(Duration.millis(rateLimit.window))}`

const row = ({ declared, name, override, park, paused, running, waiting }: QueueView) => {
  const limits = override ?? declared
  return [
    name,
    paused ? (park === true ? "parked" : "paused") : "open",
    String(running),
    String(waiting),
    String(limits.concurrency ?? "-"),
    String(limits.concurrencyPerKey ?? "-"),
    rateOf(limits),
    override === undefined ? "the code" : "set"
  ]
}

export const list = (options: Options) =>
  on(options)((target) =>
    Effect.flatMap(target.queues, (queues) =>
      options.json
        ? Output.json({ queues })
        : Output.table(
            ["QUEUE", "STATE", "RUNNING", "WAITING", "AT A TIME", "OF A KEY", "BEGIN", "LIMITS BY"],
            queues.map(row)
          )
    )
  )

const said = (options: Options, name: string, what: string) =>
  options.json ? Output.json({ name }) : Output.line(what)

export const pause = ({ park, ...options }: Options & { readonly park: boolean }, name: string) =>
  on(options)((target) =>
    Effect.zipRight(
      target.changeQueue({ name, paused: true, park }),
      said(
        options,
        name,
        park ? "paused: nothing of it begins or goes on" : "paused: nothing of it begins"
      )
    )
  )

export const resume = (options: Options, name: string) =>
  on(options)((target) =>
    Effect.zipRight(target.changeQueue({ name, paused: false }), said(options, name, "it goes on"))
  )

export interface LimitOptions extends Options {
  readonly concurrency: Option.Option<number>
  readonly concurrencyPerKey: Option.Option<number>
  readonly rateLimit: Option.Option<number>
  readonly rateWindow: Option.Option<Duration.Duration>
  readonly keepSlot: boolean
  readonly reset: boolean
}

const limitsOf = (options: LimitOptions) => {
  const { concurrency, concurrencyPerKey, keepSlot, rateLimit, rateWindow } = options
  if (Option.isSome(rateLimit) !== Option.isSome(rateWindow)) {
    return new UsageError({ message: "--rate-limit and --rate-window go together" })
  }
  const window = Option.map(rateWindow, Duration.toMillis)
  return Effect.succeed<QueueLimitsView>({
    ...(Option.isSome(concurrency) ? { concurrency: concurrency.value } : {}),
    ...(Option.isSome(concurrencyPerKey) ? { concurrencyPerKey: concurrencyPerKey.value } : {}),
    ...(Option.isSome(rateLimit) && Option.isSome(window)
      ? { rateLimit: { limit: rateLimit.value, window: Math.ceil(window.value) } }
      : {}),
    ...(keepSlot ? { keepSlot } : {})
  })
}

export const limit = (options: LimitOptions, name: string) =>
  Effect.gen(function* () {
    const limits = yield* limitsOf(options)
    const isNone = Object.keys(limits).length === 0
    if (options.reset && !isNone) {
      return yield* new UsageError({
        message: "--reset goes back to the limits in the code: give no others"
      })
    }
    if (!options.reset && isNone) {
      return yield* new UsageError({
        message:
          "No limit was given: --concurrency, --concurrency-per-key, --rate-limit with --rate-window, or --reset"
      })
    }
    yield* on(options)((target) =>
      Effect.zipRight(
        target.changeQueue({ name, limits: options.reset ? null : limits }),
        said(
          options,
          name,
          options.reset ? "its limits are those in the code" : "its limits are set"
        )
      )
    )
  })
