/**
 * Who is told values: payloads, results, and what errors say. What is left without them says which runs
 * there are, and how they go.
 *
 * Names, of workflows, steps, signals and errors, ids, tags and attributes are no values.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ErrorView, RunView, RunWithStepsView, StepView } from "../api/RunView.js"
import type { ScheduleView } from "../api/Schedules.js"
import { Forbidden, Principal } from "./Access.js"

/** Whether tokens without the scope `admin` are told values too. Default: yes. */
export class ValuesForReaders extends Context.Reference<ValuesForReaders>()(
  "effect-workflow-executor/http/ValuesForReaders",
  { defaultValue: () => true }
) {}

/** Whether the request is told them. */
export const shown: Effect.Effect<boolean, never, Principal> = Effect.gen(function* () {
  return (yield* ValuesForReaders) || (yield* Principal).scopes.has("admin")
})

/** Fails with `Forbidden` where it is not: for what is nothing but a value. */
export const required: Effect.Effect<void, Forbidden, Principal> = Effect.flatMap(shown, (shown) =>
  shown
    ? Effect.void
    : new Forbidden({ message: "Here only a token with the scope admin is told values" })
)

const hidden = { hidden: true } as const

const ofError = (error: ErrorView | undefined) =>
  error === undefined ? {} : { error: { _tag: error._tag, message: "hidden from this token" } }

const withoutStep = ({ error, leftOut: _, result: __, ...step }: StepView): StepView => ({
  ...step,
  ...ofError(error),
  ...hidden
})

const withoutRun = <A extends RunView>({
  error,
  leftOut: _,
  payload: __,
  result: ___,
  ...run
}: A) => ({ ...run, ...ofError(error), ...hidden })

/** A run with its steps, without what any of it came to. */
export const without = (run: RunWithStepsView): RunWithStepsView => {
  const { cause: _, stack: __, ...rest } = withoutRun(run)
  return { ...rest, steps: run.steps.map(withoutStep) }
}

const told =
  <A>(hide: (view: A) => A) =>
  (view: A): Effect.Effect<A, never, Principal> =>
    Effect.map(shown, (shown) => (shown ? view : hide(view)))

/** As the request may see it. */
export const ofRun = told<RunWithStepsView>(without)

export const ofRuns = told<ReadonlyArray<RunView>>((runs) => runs.map((run) => withoutRun(run)))

export const ofStep = told<StepView>(withoutStep)

export const ofSteps = told<ReadonlyArray<StepView>>((steps) => steps.map(withoutStep))

export const ofSchedule = told<ScheduleView>((schedule) => ({
  ...schedule,
  payload: null,
  ...hidden
}))
