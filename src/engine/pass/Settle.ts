/**
 * Writes what became of a run when a pass of it is over, before anybody is told.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Json, RunStore } from "../../store/RunStore.js"
import * as Metrics from "../../telemetry/Metrics.js"
import * as Codec from "../../values/Codec.js"
import { describeCause } from "../../values/Described.js"
import type { Bounded } from "../../values/ValueSize.js"
import type { ActiveRun } from "../run/ActiveRun.js"
import type { Persist, PersistError } from "../run/Persist.js"
import * as SetAside from "../run/SetAside.js"
import * as Survived from "../run/Survived.js"
import { logEnd } from "./Ended.js"
import type { Verdict } from "./Pass.js"

export interface SettleOptions {
  readonly store: RunStore["Type"]
  readonly persist: Persist["persist"]
  readonly bounded: Bounded
  /** Goes on with a run that waits in memory, if it is to be gone on with here. */
  readonly activate: (run: ActiveRun) => Effect.Effect<void>
}

/** Whether another pass follows. */
export type Settled = "over" | "again"

/** Writes what becomes of the run. A run for which that cannot be said is set aside. */
export const settle = (
  run: ActiveRun,
  verdict: Effect.Effect<Verdict>,
  options: SettleOptions
): Effect.Effect<Settled> =>
  Effect.flatMap(verdict, (verdict) => write(run, verdict, options)).pipe(
    Effect.catchAllCause((cause) => unsettled(run, cause, options))
  )

const write = (run: ActiveRun, verdict: Verdict, options: SettleOptions) => {
  switch (verdict._tag) {
    case "Complete":
      return complete(run, verdict, options)
    case "Suspend":
      return suspend(run, verdict.cause, options)
    case "Release":
      return release(run, options)
    case "Forget":
      return Effect.succeed<Settled>("over")
    case "Drop":
      return Effect.as(lost(run, logLost(run), options), "over" as Settled)
  }
}

const lost = (run: ActiveRun, log: Effect.Effect<void>, options: SettleOptions) =>
  Effect.zipRight(log, Survived.tell([run], options))

const logLost = ({ terminated }: ActiveRun) =>
  terminated
    ? Effect.logInfo("run terminated; its fiber was interrupted here")
    : Effect.logWarning("run lost to another executor; its fiber was interrupted here")

const complete = (
  run: ActiveRun,
  { compensated, exit }: Extract<Verdict, { readonly _tag: "Complete" }>,
  options: SettleOptions
) =>
  Effect.flatMap(endOf(run, exit, options), (written) => {
    const status = Codec.statusOfExit(written.exit)
    const { held } = run
    const completion = { held, status, exit: written.text, compensated }
    const completed = options.persist(options.store.complete(completion))
    const ended = run.isSuspended ? Effect.zipRight(options.activate(run), completed) : completed
    return Effect.flatMap(ended, () => {
      Metrics.runFinished(run.workflowName, status)
      return Effect.as(logEnd(run, { status, ...written }), "over" as Settled)
    })
  })

/** What it came to: where it was interrupted, whether that was because its time was over. */
const endOf = (run: ActiveRun, exit: Exit.Exit<unknown, unknown>, options: SettleOptions) =>
  Effect.gen(function* () {
    const written = yield* writable(run, exit, options.bounded)
    const { timeout } = run
    if (timeout === undefined || Codec.statusOfExit(written.exit) !== "interrupted") return written
    const found = yield* options.persist(options.store.find(run.runId))
    const timedOut = Option.isSome(found) && found.value.timedOut === true
    return timedOut ? Codec.timedOutExit(timeout) : written
  })

const suspend = (run: ActiveRun, cause: Json | undefined, options: SettleOptions) =>
  Effect.gen(function* () {
    if (run.isSuspended) yield* options.activate(run)
    const timers = run.takeNewTimers()
    const woken = yield* options.persist(
      options.store.suspend({
        held: run.held,
        wakeups: run.wakeups,
        timers,
        wakeAt: cause === undefined ? run.nextWakeAt() : undefined,
        cause
      })
    )
    if (Option.isNone(woken)) {
      yield* cause === undefined
        ? Effect.logDebug("run suspended")
        : Effect.logWarning(
            "run suspended after a failure; it waits to be resumed",
            Codec.causeFromJson(cause)
          ).pipe(Effect.annotateLogs({ failure: describeCause(cause) }))
      return "over" as Settled
    }
    run.load(woken.value)
    return "again" as Settled
  })

const release = (run: ActiveRun, options: SettleOptions) =>
  Effect.gen(function* () {
    const released = yield* options.persist(
      options.store.release([{ held: run.held, timers: run.takeNewTimers() }])
    )
    run.handedOver = released > 0
    return "over" as Settled
  })

/** An exit as text; one that cannot be written becomes a defect that says so. */
const writable = (run: ActiveRun, exit: Exit.Exit<unknown, unknown>, bounded: Bounded) => {
  const json = Effect.flatMap(
    Effect.suspend(() => Codec.contextFree(Codec.exitToJson(run.registration.workflow, exit))),
    Codec.boundedExit(bounded)
  )
  return Effect.matchCauseEffect(json, {
    onSuccess: (text) => Effect.succeed({ text, exit }),
    onFailure: (cause) => {
      const failure: Exit.Exit<unknown, unknown> = Exit.die(
        new Error(
          `the result of workflow "${run.workflowName}" cannot be recorded as JSON: ${reasonOf(cause)}`
        )
      )
      return Effect.map(
        Effect.orDie(Codec.encodedExitToJson(failure, run.registration.workflow.successSchema)),
        (text) => ({
          text,
          exit: failure
        })
      )
    }
  })
}

const reasonOf = (cause: Cause.Cause<{ readonly message: string }>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => Cause.pretty(cause),
    onSome: ({ message }) => message
  })

/** The run is lost or given up, or cannot be driven at all. */
const unsettled = (
  run: ActiveRun,
  cause: Cause.Cause<PersistError>,
  options: SettleOptions
): Effect.Effect<Settled> => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  switch (error?._tag) {
    case "RunLost":
      return Effect.as(
        lost(
          run,
          run.terminated ? logLost(run) : Effect.logWarning("run lost to another executor", cause),
          options
        ),
        "over"
      )
    case "GivenUp":
      return Effect.as(Effect.logError("the run's state was not written", cause), "over")
    case "WriteRefused":
    case undefined:
      return Effect.as(setAside(run, cause, options), "over")
  }
}

/** It cannot be driven. */
const setAside = (
  run: ActiveRun,
  defect: Cause.Cause<PersistError>,
  options: SettleOptions
): Effect.Effect<void> => {
  const what = `run ${run.runId} of workflow "${run.workflowName}" cannot be executed`
  const reason = Cause.isDie(defect) ? Cause.pretty(defect) : reasonOf(defect)
  const cause = Codec.blockCause(`${what}: ${reason}`)
  return Effect.ignoreLogged(
    Effect.zipRight(Effect.logError(what, defect), SetAside.suspend(run, cause, options))
  )
}
