import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Held, RunLost, RunStoreError } from "../../store/RunStore.js"
import { RunStore } from "../../store/RunStore.js"
import { aRun, aStep, begin, register } from "../Acts.js"

/** As `slice` leaves it of an emoji. */
const half = "well done \ud83d"

type Store = RunStore["Type"]

/** Every write that brings a text along which is not JSON. */
const writes: Record<
  string,
  (store: Store, held: Held) => Effect.Effect<unknown, RunStoreError | RunLost>
> = {
  "the id of a run": (store) => store.create(aRun(half)),
  "the workflow of a run": (store) => store.create(aRun("b", { workflow: half })),
  "the trace of a run": (store) =>
    store.create(aRun("b", { trace: { traceId: half, spanId: "1", sampled: true } })),
  "a step that is recorded": (store, held) => store.recordStep(aStep(held, { name: half })),
  "a step that is noted": (store, held) =>
    store.noteStep({
      held,
      name: half,
      attempt: 1,
      status: "running",
      startedAt: 1,
      completedAt: undefined
    }),
  "a timer that comes with a step": (store, held) =>
    store.recordStep(aStep(held, { timers: [{ name: half, wakeAt: 5 }] })),
  "a timer that comes with a suspension": (store, held) =>
    store.suspend({
      held,
      wakeups: 0,
      timers: [{ name: half, wakeAt: 5 }],
      wakeAt: 5,
      cause: undefined
    }),
  "a timer that comes with a release": (store, held) =>
    store.release([{ held, timers: [{ name: half, wakeAt: 5 }] }]),
  "a signal": (store) => store.signal({ runId: "a", name: half, exit: "1" }),
  "the run of a signal": (store) => store.signal({ runId: half, name: "b", exit: "1" }),
  "the run of a retry": (store) => store.retry({ runId: half }),
  "the host of an executor": (store) => store.register({ host: half, pid: 1, leaseMillis: 1 })
}

export const texts = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe("a text that would not come back as it was", () => {
    for (const [what, write] of Object.entries(writes)) {
      it.effect(`is refused, and the writes beside it are done: ${what}`, () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const { held } = yield* begin(yield* register, "a")
          const [refused] = yield* Effect.all(
            [Effect.either(write(store, held)), store.create(aRun("beside"))],
            { concurrency: "unbounded" }
          )
          expect(refused).toMatchObject({ left: { _tag: "RunStoreError", reason: "refused" } })
          expect(refused).toMatchObject({
            left: { message: expect.stringContaining(JSON.stringify(half)) }
          })
          expect(Option.isSome(yield* store.find("beside"))).toBe(true)
          expect(yield* store.history(held)).toMatchObject({ steps: [], timers: [], signals: [] })
        }).pipe(Effect.provide(layer))
      )
    }

    it.effect("is none with a zero, quotes or a whole emoji in it", () =>
      Effect.gen(function* () {
        const store = yield* RunStore
        const name = "a\u0000b 'c' \"d\" 👍🏽"
        const { held } = yield* begin(yield* register, name)
        yield* store.recordStep(aStep(held, { name, timers: [{ name, wakeAt: 5 }] }))
        yield* store.signal({ runId: name, name, exit: "1" })
        expect(yield* store.history(held)).toMatchObject({
          steps: [{ name }],
          timers: [{ name }],
          signals: [{ name }]
        })
      }).pipe(Effect.provide(layer))
    )
  })
}
