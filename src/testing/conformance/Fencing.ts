import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { ClaimedRun, RunLost } from "../../store/RunStore.js"
import { RunStore, RunStoreError } from "../../store/RunStore.js"
import { aRun, aStep, begin, claimOne, leaseMillis, register, suspend } from "../Acts.js"

type Taken = (run: ClaimedRun) => Effect.Effect<unknown, RunStoreError | RunLost, RunStore>

const withStore = (
  use: (store: RunStore["Type"]) => Effect.Effect<unknown, RunStoreError | RunLost, RunStore>
) => Effect.flatMap(RunStore, use)

/** How a holder loses its run, and what it then still tries. */
const losses: Readonly<Record<string, Taken>> = {
  "was released": ({ held }) => withStore((store) => store.release([{ held, timers: [] }])),
  "was released and claimed again": ({ held }) =>
    withStore((store) =>
      Effect.zipRight(store.release([{ held, timers: [] }]), Effect.flatMap(register, claimOne))
    ),
  "was released and claimed again by the same executor": ({ held }) =>
    withStore((store) =>
      Effect.gen(function* () {
        const [executor] = yield* store.executors
        yield* store.release([{ held, timers: [] }])
        yield* claimOne(executor?.id ?? 0)
      })
    ),
  "was taken over": () =>
    withStore((store) =>
      Effect.zipRight(TestClock.adjust(leaseMillis + 1), store.takeOver({ limit: 9 }))
    ),
  "was taken over and claimed again": () =>
    withStore((store) =>
      TestClock.adjust(leaseMillis + 1).pipe(
        Effect.zipRight(store.takeOver({ limit: 9 })),
        Effect.zipRight(Effect.flatMap(register, claimOne))
      )
    ),
  "is suspended": (run) => suspend(run),
  "was terminated": ({ held: { runId } }) =>
    withStore((store) => store.terminate({ runId, exit: `"ended"`, children: false })),
  "is over": ({ held }) =>
    withStore((store) => store.complete({ held, status: "completed", exit: `"first"` }))
}

const writes: Readonly<Record<string, Taken>> = {
  recordStep: ({ held }) => withStore((store) => store.recordStep(aStep(held, { name: "late" }))),
  "recordStep of a step that is recorded": ({ held }) =>
    withStore((store) => store.recordStep(aStep(held, { exit: `"late"` }))),
  "recordStep with timers": ({ held }) =>
    withStore((store) => store.recordStep(aStep(held, { timers: [{ name: "late", wakeAt: 1 }] }))),
  noteStep: ({ held }) =>
    withStore((store) => store.noteStep({ ...aStep(held, { name: "late" }), status: "running" })),
  suspend: (run) => suspend(run, { wakeAt: 1, timers: [{ name: "late", wakeAt: 1 }] }),
  complete: ({ held }) =>
    withStore((store) => store.complete({ held, status: "failed", exit: `"late"` })),
  history: ({ held }) => withStore((store) => store.history(held))
}

/** What the holder of "a" writes to itself and to the run "b". */
const writesToOthers: Readonly<Record<string, Taken>> = {
  "the creation of a child": ({ held }) =>
    withStore((store) =>
      store.by(held).create(aRun("child", { parent: { runId: "a", awaits: true } }))
    ),
  "the creation of a child that is to begin at once": ({ held }) =>
    withStore((store) =>
      Effect.flatMap(register, (executor) =>
        store.by(held).create(aRun("child", { parent: { runId: "a", awaits: true } }), executor)
      )
    ),
  "the link to a child that exists": ({ held }) =>
    withStore((store) =>
      store.by(held).create(aRun("b", { parent: { runId: "a", awaits: true } }))
    ),
  "a signal to itself": ({ held }) =>
    withStore((store) => store.by(held).signal({ runId: "a", name: "late", exit: "1" })),
  "a signal to another": ({ held }) =>
    withStore((store) => store.by(held).signal({ runId: "b", name: "late", exit: "1" })),
  "the interrupt of a child": ({ held }) =>
    withStore((store) => store.by(held).interruptChild("b")),
  "the interrupt of another": ({ held }) =>
    withStore((store) => store.by(held).requestInterrupt("b")),
  "the wake-up of another": ({ held }) => withStore((store) => store.by(held).wake("b"))
}

/** All that is refused a holder whose hold is over. */
export const writesOfHolder = { ...writes, ...writesToOthers }

/** All that a late write could have changed; not the executors that a test adds. */
const everything = Effect.gen(function* () {
  const store = yield* RunStore
  const { runs } = yield* store.list({ limit: 9 })
  return yield* Effect.forEach(runs, ({ runId }) => store.findWithSteps(runId))
})

export const fencing = (layer: Layer.Layer<RunStore, RunStoreError>) => {
  for (const [loss, lose] of Object.entries(losses)) {
    describe(`the former holder of a run that ${loss}`, () => {
      for (const [name, write] of Object.entries(writes)) {
        it.effect(`is refused ${name}, and nothing is written`, () =>
          Effect.gen(function* () {
            const store = yield* RunStore
            const run = yield* begin(yield* register, "a")
            yield* store.recordStep(aStep(run.held))
            yield* lose(run)
            const before = yield* store.findWithSteps("a")
            const error = yield* Effect.flip(write(run))
            expect(error).toMatchObject({ _tag: "RunLost", runId: "a" })
            expect(yield* store.findWithSteps("a")).toEqual(before)
          }).pipe(Effect.provide(layer))
        )
      }

      for (const [name, write] of Object.entries(writesToOthers)) {
        it.effect(`is refused ${name}, and nothing is written`, () =>
          Effect.gen(function* () {
            const store = yield* RunStore
            const executor = yield* register
            const run = yield* begin(executor, "a")
            yield* lose(run)
            yield* suspend(yield* begin(yield* register, "b"))
            const before = yield* everything
            const error = yield* Effect.flip(write(run))
            expect(error).toMatchObject({ _tag: "RunLost", runId: "a" })
            expect(yield* everything).toEqual(before)
            // of signals, and of whom they would wake, the histories know
            for (const runId of ["a", "b"]) {
              expect(yield* store.signal({ runId, name: "late", exit: "2" })).toBe(true)
            }
          }).pipe(Effect.provide(layer))
        )
      }

      it.effect("releases nothing", () =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const run = yield* begin(yield* register, "a")
          yield* lose(run)
          const before = yield* store.find("a")
          const timers = [{ name: "late", wakeAt: 1 }]
          expect(yield* store.release([{ held: run.held, timers }])).toBe(0)
          expect(yield* store.find("a")).toEqual(before)
        }).pipe(Effect.provide(layer))
      )
    })
  }

  describe("the holder of a run writes to others", () => {
    for (const [name, write] of Object.entries(writesToOthers)) {
      for (const [how, wait] of Object.entries({
        "while it executes": () => Effect.void,
        "while the run waits in its memory": ({ held, history }: ClaimedRun) =>
          withStore((store) =>
            store.suspend({
              held,
              wakeups: history.wakeups,
              timers: [],
              wakeAt: undefined,
              cause: undefined,
              keep: true
            })
          )
      })) {
        it.effect(`${name}, ${how}`, () =>
          Effect.gen(function* () {
            const run = yield* begin(yield* register, "a")
            yield* suspend(yield* begin(yield* register, "b"))
            yield* wait(run)
            yield* write(run)
          }).pipe(Effect.provide(layer))
        )
      }
    }
  })

  it.effect("of those created together only the children of a lost run are refused", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const lost = yield* begin(executor, "lost")
      const kept = yield* begin(executor, "kept")
      yield* store.release([{ held: lost.held, timers: [] }])
      const child = ({ held }: ClaimedRun, runId: string) =>
        store.by(held).create(aRun(runId, { parent: { runId: held.runId, awaits: true } }))
      const answers = yield* Effect.all(
        [child(lost, "1"), child(kept, "2"), store.create(aRun("3")), child(lost, "2")].map(
          (create) => Effect.either<unknown, RunStoreError | RunLost, never>(create)
        ),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag)).toEqual(["Left", "Right", "Right", "Left"])
      expect((yield* store.list({ limit: 9 })).runs.map(({ runId }) => runId)).toEqual([
        "3",
        "2",
        "kept",
        "lost"
      ])
      expect((yield* store.history(kept.held)).children).toEqual([{ runId: "2", exit: undefined }])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a refused write disturbs none that shares its transaction", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const executor = yield* register
      const lost = yield* begin(executor, "lost")
      const kept = yield* begin(executor, "kept")
      yield* store.release([{ held: lost.held, timers: [] }])
      const answers = yield* Effect.forEach(
        [lost, kept, lost, kept],
        ({ held }, i) => Effect.either(store.recordStep(aStep(held, { attempt: i, timers: [] }))),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag)).toEqual(["Left", "Right", "Left", "Right"])
      expect((yield* store.history(kept.held)).steps).toHaveLength(2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("an error of the store says why, and RunLost which run", () =>
    Effect.gen(function* () {
      const store = yield* RunStore
      const run = yield* begin(yield* register, "a")
      yield* store.create(aRun("b"))
      yield* store.release([{ held: run.held, timers: [] }])
      const error = yield* Effect.flip(store.history(run.held))
      expect(error).not.toBeInstanceOf(RunStoreError)
      expect(error.message).toContain("Run a")
    }).pipe(Effect.provide(layer))
  )
}
