import { expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"

const built = (options: Partial<RunnerConfig.RunnerOptions>) =>
  Effect.scoped(Layer.build(RunnerConfig.layer(options)))

it.effect("options in code are checked as those of the environment are", () =>
  Effect.gen(function* () {
    const refused: ReadonlyArray<
      readonly [Partial<Record<keyof RunnerConfig.RunnerOptions, unknown>>, string]
    > = [
      [{ maxConcurrentSteps: 0 }, "maxConcurrentSteps is 0; expected a whole number of 1 or more"],
      [{ maxConcurrentRuns: Number.NaN }, "maxConcurrentRuns is NaN"],
      [{ maxConcurrentBytes: 0 }, "maxConcurrentBytes is 0"],
      [{ maxWarmRuns: -1 }, "maxWarmRuns is -1; expected a whole number of 0 or more"],
      [{ maxWarmBytes: 0.5 }, "maxWarmBytes is 0.5"],
      [{ maxRunSize: 1_023 }, "maxRunSize is 1023"],
      [{ maxValueSize: -1 }, "maxValueSize is -1; expected a whole number from 1024 to 536870912"],
      [{ maxCrashes: 2 }, "maxCrashes is 2; expected a whole number of 3 or more, or Infinity"],
      [{ retentionCount: -1 }, "retentionCount is -1"],
      [{ stopTimeout: "soon" }, 'stopTimeout is "soon"; expected a duration'],
      [{ stopTimeout: -5 }, "stopTimeout is -5"],
      [{ stopGrace: Duration.infinity }, "stopGrace is Infinity"],
      [{ closeTimeout: "" }, `closeTimeout is ""`],
      [{ leaseDuration: 0 }, "leaseDuration is 0; expected a duration of at least 1s"],
      [{ retention: 999 }, "retention is 999"],
      [{ signalRetention: "a week" }, 'signalRetention is "a week"']
    ]
    for (const [options, message] of refused) {
      // what JavaScript callers send
      const cause = yield* Effect.flip(Effect.sandbox(built(options as never)))
      const defect = Cause.squash(cause)
      expect(defect).toBeInstanceOf(RunnerConfig.InvalidOption)
      expect((defect as Error).message).toContain(message)
    }
  })
)

it.effect("what is at the edge of being allowed is taken", () =>
  Effect.gen(function* () {
    yield* built({
      stopTimeout: 0,
      leaseDuration: "1 second",
      maxConcurrentRuns: 1,
      maxWarmRuns: 0,
      maxValueSize: 1_024,
      maxCrashes: Number.POSITIVE_INFINITY,
      retention: Duration.infinity,
      retentionCount: Number.POSITIVE_INFINITY
    })
  })
)
