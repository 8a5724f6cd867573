import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Client from "../../src/client/Client.js"
import { serve } from "./Harness.js"

describe("POST /drain", () => {
  it.scopedLive("asks the app to stop, and answers at once", () =>
    Effect.gen(function* () {
      const { controls, post } = yield* serve()
      const { body, status } = yield* post("/drain")
      assert.deepStrictEqual([status, body], [202, { state: "draining" }])
      assert.strictEqual(controls.stops, 1)
    })
  )

  it.scopedLive("answers the same while the executor drains, and tells when it has stopped", () =>
    Effect.gen(function* () {
      const { controls, post } = yield* serve()
      for (const state of ["draining", "stopped"] as const) {
        yield* SubscriptionRef.set(controls.state, state)
        for (let time = 1; time <= 2; time++) {
          const answer = yield* post("/drain")
          assert.deepStrictEqual([answer.status, answer.body], [202, { state }])
        }
      }
    })
  )

  it.scopedLive("is refused where the app does not let itself be stopped", () =>
    Effect.gen(function* () {
      const { controls, post } = yield* serve({ stop: false })
      const { body, status } = yield* post("/drain")
      assert.deepStrictEqual([status, body._tag, body.state], [409, "DrainNotAvailable", "running"])
      assert.include(body.message, "the app in which it runs decides about its stop")
      assert.include(body.message, "Shutdown")
      // what is asked for happens in any case
      yield* SubscriptionRef.set(controls.state, "draining")
      const draining = yield* post("/drain")
      assert.deepStrictEqual([draining.status, draining.body], [202, { state: "draining" }])
    })
  )

  it.scopedLive("needs a token with the scope admin", () =>
    Effect.gen(function* () {
      const { controls, post, tokens } = yield* serve()
      assert.strictEqual((yield* post("/drain", undefined, { token: null })).status, 401)
      const scoped = yield* tokens.sign({ scopes: ["runs:read", "runs:write"] })
      const refused = yield* post("/drain", undefined, { token: Redacted.value(scoped) })
      assert.deepStrictEqual([refused.status, refused.body._tag], [403, "Forbidden"])
      assert.strictEqual(controls.stops, 0)
    })
  )

  it.scopedLive("is answered although the app takes its time, or cannot", () =>
    Effect.gen(function* () {
      for (const stop of [Effect.never, Effect.dieMessage("no"), Effect.interrupt]) {
        const { post } = yield* serve({ stop })
        assert.strictEqual((yield* post("/drain")).status, 202)
      }
    })
  )

  it.scopedLive("is there in the client, which asks once", () =>
    Effect.gen(function* () {
      for (const stop of [undefined, false] as const) {
        const { close, controls, port, token } = yield* serve(stop === false ? { stop } : {})
        const client = yield* Client.make({
          baseUrl: `http://127.0.0.1:${port}`,
          token: Redacted.make(token),
          // would wait for ever
          retry: Schedule.spaced("1 day")
        }).pipe(Effect.provide(FetchHttpClient.layer))
        const answer = yield* Effect.either(client.drain)
        assert.deepStrictEqual(
          Either.match(answer, { onLeft: ({ _tag }) => _tag, onRight: (state) => state }),
          stop === false ? "DrainNotAvailable" : "draining"
        )
        assert.strictEqual(controls.stops, stop === false ? 0 : 1)
        yield* close
        assert.strictEqual((yield* Effect.flip(client.drain))._tag, "Unavailable")
      }
    })
  )
})
