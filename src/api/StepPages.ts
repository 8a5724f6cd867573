/** A run's steps beyond those that come with it, page by page. */
import * as Effect from "effect/Effect"
import type { RunWithStepsView, StepsPage, StepView } from "./RunView.js"

type Page<E, R> = (cursor: string) => Effect.Effect<StepsPage, E, R>

/** Calls `use` for each page, from that of the cursor on; no page is kept. */
export const forEach = <E, R, E2, R2>(
  cursor: string | undefined,
  page: Page<E, R>,
  use: (steps: ReadonlyArray<StepView>) => Effect.Effect<void, E2, R2>
): Effect.Effect<void, E | E2, R | R2> =>
  Effect.gen(function* () {
    let next = cursor
    while (next !== undefined) {
      const { nextCursor, steps } = yield* page(next)
      yield* use(steps)
      next = nextCursor ?? undefined
    }
  })

/** The run with all of its steps. */
export const all = <E, R>(
  run: RunWithStepsView,
  page: Page<E, R>
): Effect.Effect<RunWithStepsView, E, R> => {
  const { stepsCursor, ...rest } = run
  if (stepsCursor === undefined) return Effect.succeed(run)
  const steps = [...run.steps]
  return forEach(stepsCursor, page, (more) => Effect.sync(() => steps.push(...more))).pipe(
    Effect.map(() => ({ ...rest, steps }))
  )
}
