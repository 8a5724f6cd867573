/**
 * The spans of runs. A run belongs to its caller's trace, however often it is suspended and whichever
 * process goes on with it: each pass has a span `workflow.run` under the caller's, whose ids are
 * stored with the run, and the steps of that pass have theirs under it.
 *
 * Where the spans go is the app's business: see Effect's `Tracer`. While nobody looks at them, which
 * is while the tracer is Effect's own, there are none.
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Tracer from "effect/Tracer"
import type { Trace } from "../store/RunStore.js"

/** What a pass came to, for its span. */
export type PassOutcome = "ended" | "suspended" | "interrupting" | "handed over" | "lost"

export interface PassSpan {
  /** Whatever this effect does is part of the pass. */
  readonly inside: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** @param exit how the run ended; of a pass after which it goes on, nothing */
  readonly end: (outcome: PassOutcome, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

export interface Spans {
  readonly pass: (options: {
    readonly runId: string
    readonly workflow: string
    /** From 1, since this process has claimed the run. */
    readonly pass: number
    /** There were passes before, here or elsewhere. */
    readonly resumed: boolean
    readonly trace: Trace | undefined
  }) => Effect.Effect<PassSpan>
  /** The step whose span is the present one was not executed: its outcome was recorded. */
  readonly replayed: Effect.Effect<void>
}

/** Of a pass that nobody looks at. */
export const noPassSpan: PassSpan = { inside: identity, end: () => Effect.void }

const noPass: Effect.Effect<PassSpan> = Effect.succeed(noPassSpan)

const off: Spans = { pass: () => noPass, replayed: Effect.void }

const on: Spans = {
  pass: ({ trace, ...attributes }) =>
    Effect.map(
      Effect.makeSpan("workflow.run", {
        ...(trace === undefined ? { root: true } : { parent: Tracer.externalSpan(trace) }),
        // as of a message that waited in a queue
        kind: "consumer",
        attributes,
        captureStackTrace: false
      }),
      (span): PassSpan => ({
        inside: Effect.withParentSpan(span),
        end: (outcome, exit) =>
          Effect.clockWith((clock) =>
            Effect.sync(() => {
              span.attribute("outcome", outcome)
              span.end(clock.unsafeCurrentTimeNanos(), exit)
            })
          )
      })
    ),
  replayed: Effect.annotateCurrentSpan("replayed", true)
}

/** Whether anybody looks at the spans that are made here. */
export const isTraced: Effect.Effect<boolean> = Effect.map(
  Effect.tracer,
  (tracer) => tracer !== Context.get(DefaultServices.liveServices, Tracer.Tracer)
)

/** With the tracer that is provided now. */
export const make: Effect.Effect<Spans> = Effect.map(isTraced, (traced) => (traced ? on : off))
