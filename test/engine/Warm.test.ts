/** Which of the runs that wait stay in memory. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import { choose, type WarmLimits, WarmRuns } from "../../src/engine/pass/Warm.js"
import {
  type Env,
  exitOf,
  Gate,
  longSleep,
  memoryTest,
  open,
  pass,
  register,
  textWorkflow,
  turns,
  untilSuspended,
  untilTrue
} from "./support.js"

const limits: WarmLimits = { runs: 10, bytes: 1_000 }

describe("a run that comes to rest", () => {
  const now = 1_000_000
  const choices = {
    "that is due already": [-5_000, "stay"],
    "that is due in half a second": [500, "stay"],
    "that is due a millisecond later": [501, "keep"],
    "that waits for nobody knows how long": [undefined, "keep"],
    "that is due in five minutes": [300_000, "keep"],
    "that is due later": [300_001, "let go"]
  } as const
  for (const [what, [remaining, choice]] of Object.entries(choices)) {
    it(`${what}: ${choice}`, () => {
      const dueAt = remaining === undefined ? undefined : now + remaining
      assert.strictEqual(choose(dueAt, now, limits), choice)
      const none = choose(dueAt, now, { ...limits, runs: 0 })
      assert.strictEqual(none, choice === "keep" ? "let go" : choice)
    })
  }
})

describe("what is kept", () => {
  const kept = (count: number, bytes: number, dueAt: (index: number) => number | undefined) => {
    const warm = new WarmRuns<number>(limits)
    for (let index = 0; index < count; index++) {
      warm.add(index, { since: index, dueAt: dueAt(index), bytes })
    }
    return warm
  }

  it("stays while there is room", () => {
    assert.deepStrictEqual(kept(10, 100, () => undefined).overdue(100), [])
  })

  it("goes when there are too many, a tenth more than that, those that are due last first", () => {
    const warm = kept(11, 1, (index) => 1_000 + index)
    assert.deepStrictEqual(warm.overdue(100), [10, 9])
  })

  it("is taken to wait for as long again as it has", () => {
    const dueAt = (index: number) => (index === 3 ? 150 : index === 4 ? 500 : undefined)
    // of those without a time, who has waited longest goes first
    assert.deepStrictEqual(kept(11, 1, dueAt).overdue(100), [4, 0])
  })

  it("goes when it is too large, and no more than makes room", () => {
    const warm = kept(5, 300, (index) => 1_000 + index)
    // 1,500 bytes of 1,000, and a tenth of these
    assert.deepStrictEqual(warm.overdue(100), [4, 3])
  })

  it("counts no more once it is deleted, and anew when it comes again", () => {
    const warm = kept(10, 100, () => undefined)
    warm.add(0, { since: 0, dueAt: undefined, bytes: 100 })
    assert.deepStrictEqual([warm.size, warm.overdue(100)], [10, []])
    assert.isTrue(warm.delete(0))
    assert.isFalse(warm.delete(0))
    warm.add(0, { since: 0, dueAt: undefined, bytes: 101 })
    assert.deepStrictEqual(warm.overdue(100), [0])
  })
})

describe("an executor", () => {
  const start = Effect.fn(function* (count: number, wait: Effect.Effect<string, never, Env>) {
    const W = textWorkflow()
    let passes = 0
    yield* register(
      W.toLayer(() => {
        passes++
        return wait
      })
    )
    const runIds: Array<string> = []
    for (let index = 0; index < count; index++) {
      const runId = yield* W.execute({ id: `${index}` }, { discard: true })
      yield* untilSuspended(W, runId)
      runIds.push(runId)
    }
    yield* turns()
    return { W, runIds, passes: () => passes, dispatcher: yield* Dispatcher }
  })

  const await_ = DurableDeferred.await(Gate)

  memoryTest(
    "keeps no more than it may, and goes on with all of them",
    () =>
      Effect.gen(function* () {
        const { W, dispatcher, passes, runIds } = yield* start(10, await_)
        assert.isAtMost(dispatcher.runs.size(), 4)
        assert.strictEqual(passes(), 10)
        for (const runId of runIds) {
          yield* open(W, runId)
          assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        }
        // those that were let go were replayed, the others went on where they were
        assert.isAbove(passes(), 10)
        assert.isBelow(passes(), 20)
        yield* turns()
        assert.strictEqual(dispatcher.runs.size(), 0)
      }),
    { maxWarmRuns: 4 }
  )

  memoryTest(
    "keeps no more bytes than it may",
    () =>
      Effect.gen(function* () {
        const { W, dispatcher, runIds } = yield* start(10, await_)
        assert.isBelow(dispatcher.runs.size(), 10)
        for (const runId of runIds) {
          yield* open(W, runId)
          assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        }
      }),
    { maxWarmBytes: 60 }
  )

  memoryTest("keeps none that is to sleep for hours, and wakes it", () =>
    Effect.gen(function* () {
      const sleep = Effect.as(longSleep("hours", "2 hours"), "slept")
      const { W, dispatcher, passes, runIds } = yield* start(3, sleep)
      yield* untilTrue("all are let go", () => dispatcher.runs.size() === 0)
      yield* pass("2 hours")
      for (const runId of runIds) {
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("slept"))
      }
      assert.strictEqual(passes(), 6)
    })
  )
})
