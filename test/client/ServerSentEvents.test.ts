/** Server-sent events as the client reads them, from whoever answers. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { read } from "../../src/client/ServerSentEvents.js"

const encoder = new TextEncoder()

/** A body that comes in these parts. */
const body = (...parts: ReadonlyArray<string>) =>
  Stream.fromIterable(parts.map((part) => encoder.encode(part)))

const told = (...parts: ReadonlyArray<string>) =>
  Effect.map(Stream.runCollect(read(body(...parts), 20)), (messages) =>
    Chunk.toReadonlyArray(messages).map(({ data, event, lastEventId }) => [
      lastEventId,
      event,
      data
    ])
  )

describe("a body of server-sent events", () => {
  it.effect("is read wherever it is cut, and an id without data is told", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* told("id: 1\neve", "nt: run\nda", "ta: a\ndata: b\n", "\n:\nid: 2\n\n"),
        [
          ["1", "run", "a\nb"],
          ["2", "message", undefined]
        ]
      )
      assert.deepStrictEqual(yield* told("data: whole\n\ndata: cut short\n"), [
        [undefined, "message", "whole"]
      ])
    })
  )

  it.effect("may go on for ever in short lines", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 100 }, (_, n) => `data: ${n}\n\n`)
      assert.lengthOf(yield* told(...many), 100)
      assert.lengthOf(yield* told(many.join("")), 100)
    })
  )

  for (const [what, parts] of Object.entries({
    "a line that does not end": ["data: ", "0123456789", "0123456789", "0123456789"],
    "an event of too many lines": Array.from({ length: 9 }, () => "data: 0123\n")
  })) {
    it.effect(`fails of ${what}, before more of it is read`, () =>
      Effect.gen(function* () {
        // as of something that answers, and goes on for ever
        const endless = Stream.concat(body(...parts), Stream.never)
        const reading = yield* Effect.fork(Effect.flip(Stream.runDrain(read(endless, 20))))
        const error = yield* Fiber.join(reading)
        assert.strictEqual(error.message, "An event has more than 20 characters")
      })
    )
  }
})
