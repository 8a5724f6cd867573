/** Events for those who look: all of them while they are few, and where they are many, some. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { read } from "./EventReader.js"
import { serve } from "./Harness.js"

/** One server, and readers of its events. */
const served = Effect.gen(function* () {
  const { events, port, token } = yield* serve()
  const url = `http://127.0.0.1:${port}/events`
  const step = (n: number, at: number) =>
    events.publish({
      type: "step",
      at,
      runId: "r",
      workflow: n % 2 === 0 ? "Even" : "Odd",
      name: `s${n}`,
      attempt: 1,
      status: "completed"
    })
  return {
    events,
    /** So many, within a moment that begins at this time. */
    publish: (times: number, at: number) => {
      for (let n = 0; n < times; n++) step(n, at + n / 10)
    },
    look: (query = "") =>
      Effect.tap(read(`${url}?digest=true${query}`, { token }), (reader) =>
        reader.has("executor running")
      ),
    back: (lastEventId: string) => read(`${url}?digest=true`, { token, lastEventId }),
    all: Effect.tap(read(url, { token }), (reader) => reader.has("executor running"))
  }
})

const moment = 500

describe("the digest of events", () => {
  it.scopedLive("has all of them while they are few", () =>
    Effect.gen(function* () {
      const { look, publish } = yield* served
      const reader = yield* look()
      for (let n = 0; n < 5; n++) publish(20, n * moment)
      yield* reader.until(() => reader.messages.length === 101)
      assert.notInclude(reader.briefs, "reset")
    })
  )

  it.scopedLive("leaves out what is more than 20 in a moment, and says so once it is over", () =>
    Effect.gen(function* () {
      const { all, events, look, publish } = yield* served
      const reader = yield* look()
      const everything = yield* all
      publish(350, moment)
      // told a little later than others that began after it
      publish(350, 0)
      events.publish({ type: "executor", at: 400, state: "draining" })
      yield* everything.until(() => everything.messages.length === 702)
      yield* reader.has("reset")
      assert.deepStrictEqual(reader.briefs, [
        "executor running",
        ...Array.from({ length: 20 }, (_, n) => `step s${n} completed`),
        // where the executor is in its life is always told
        "executor draining",
        "reset"
      ])
      // it stands for all that was until then
      assert.strictEqual(reader.lastId, everything.lastId)
      publish(1, 2 * moment)
      yield* reader.until(() => reader.messages.length === 24)
      assert.strictEqual(reader.briefs.at(-1), "step s0 completed")
    })
  )

  it.scopedLive("has 2 of a moment after one that had more than 20, as long as that goes on", () =>
    Effect.gen(function* () {
      const { look, publish } = yield* served
      const reader = yield* look()
      publish(21, moment)
      publish(30, 2 * moment)
      publish(20, 3 * moment)
      publish(20, 4 * moment)
      yield* reader.until(() => reader.briefs.filter((brief) => brief !== "reset").length === 45)
      // one that comes after a pause is told whole, however many there were before
      publish(30, 5 * moment)
      publish(20, 9 * moment)
      yield* reader.until(() => reader.briefs.filter((brief) => brief !== "reset").length === 85)
    })
  )

  it.scopedLive("is of one workflow, where that is asked for, and goes on after an event", () =>
    Effect.gen(function* () {
      const { back, look, publish } = yield* served
      const reader = yield* look("&workflow=Odd")
      publish(10, 0)
      yield* reader.until(() => reader.messages.length === 6)
      assert.deepStrictEqual(
        reader.briefs.slice(1),
        [1, 3, 5, 7, 9].map((n) => `step s${n} completed`)
      )
      const again = yield* back(reader.ids[1] ?? "")
      yield* again.until(() => again.messages.length === 8)
      assert.deepStrictEqual(again.briefs.slice(0, 2), ["step s2 completed", "step s3 completed"])
      publish(100, moment)
      // there is more than would be told
      const reset = yield* back(reader.ids[1] ?? "")
      yield* reset.has("executor running")
      assert.deepStrictEqual(reset.briefs.slice(0, 2), ["reset", "executor running"])
    })
  )
})
