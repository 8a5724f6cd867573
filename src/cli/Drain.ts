/**
 * `workflow-executor drain`: lets a running executor stop, and waits until it has.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { RunnerState } from "../api/RunnerState.js"
import type * as Client from "../client/Client.js"
import type { ExecutorView } from "../runner/Runs.js"
import * as DrainProgress from "./DrainProgress.js"
import { CommandEnded, exitCodes } from "./Failures.js"
import * as OnApi from "./OnApi.js"
import * as Output from "./Output.js"
import { NotOnFile, type TargetOptions } from "./Target.js"

export interface Options extends TargetOptions {
  readonly json: boolean
  /** Only ask. */
  readonly noWait: boolean
  /** How long to wait for the end. */
  readonly timeout: Duration.Duration
}

export const drain = (options: Options) =>
  Effect.gen(function* () {
    if (Option.isSome(options.database) || Option.isSome(options.databaseUrl)) {
      return yield* new NotOnFile({
        message:
          "A database does not drain: leave out --database and --database-url, and ask the executor that works on it (--url)"
      })
    }
    const { baseUrl, client, explained } = yield* OnApi.make({ ...options, patient: false })
    const asked = yield* answering(client)
    const state = yield* explained(client.drain)
    if (options.noWait) return yield* told(options, state)

    const progress = { last: "", at: Number.NEGATIVE_INFINITY }
    const stopped = yield* waitUntilGone(client, asked, (steps) =>
      options.json ? Effect.void : say(progress, steps)
    ).pipe(
      Effect.timeoutOption(options.timeout),
      // of an interrupted fiber only defects are seen
      Effect.onInterrupt(() => Effect.die(new CommandEnded({ exitCode: exitCodes.interrupted })))
    )
    if (Option.isSome(stopped)) return yield* told(options, "stopped")
    yield* Output.aside(
      `${baseUrl} has not stopped within ${Duration.format(options.timeout)}, and goes on draining`
    )
    return yield* new CommandEnded({ exitCode: exitCodes.notStopped })
  }).pipe(Effect.provide(FetchHttpClient.layer))

const told = ({ json }: Options, state: string) =>
  json ? Output.json({ state }) : Output.line(state)

/** The executor that answers; `undefined` where it does not say. */
const answering = (client: Client.Client["Type"]): Effect.Effect<ExecutorView | undefined> =>
  client.executors.pipe(
    Effect.map((executors) => executors.find(({ self }) => self)),
    Effect.orElseSucceed(() => undefined)
  )

const stateOf = (client: Client.Client["Type"]): Effect.Effect<RunnerState | "gone" | undefined> =>
  Effect.catchAll(client.health, ({ cause }) =>
    Effect.succeed(isRefused(cause) ? ("gone" as const) : undefined)
  )

const isAnother = (a: ExecutorView | undefined, b: ExecutorView | undefined): boolean =>
  a !== undefined && b !== undefined && (a.id !== b.id || a.startedAt !== b.startedAt)

const lookEvery = "100 millis"

/** Looks until nobody listens there any more, or an executor that was not asked does. */
const waitUntilGone = (
  client: Client.Client["Type"],
  asked: ExecutorView | undefined,
  seen: (stepsInFlight: number) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    let isLeaving = false
    while (true) {
      const state = yield* stateOf(client)
      if (state === "gone") return
      const self = yield* answering(client)
      // one that drains does not come back
      const isUp = state === "running" || state === "idle"
      if (isUp && (isLeaving || isAnother(asked, self))) return
      isLeaving ||= state === "draining" || state === "stopped"
      if (self?.stepsInFlight !== undefined) yield* seen(self.stepsInFlight)
      yield* Effect.sleep(lookEvery)
    }
  })

/** Nobody listens there: an executor that stops answers until then. */
const isRefused = (cause: unknown): boolean =>
  Predicate.hasProperty(cause, "code") && cause.code === "ECONNREFUSED"
    ? true
    : Predicate.hasProperty(cause, "cause") && isRefused(cause.cause)

const sayEvery = 2_000

/** When the number has changed, and every other second. */
const say = (progress: { last: string; at: number }, steps: number) =>
  Effect.gen(function* () {
    if (steps === 0) return
    const now = yield* Clock.currentTimeMillis
    const text = `draining: ${DrainProgress.stepsLeft(steps)}`
    if (text === progress.last && now - progress.at < sayEvery) return
    progress.last = text
    progress.at = now
    yield* Output.aside(text)
  })
