/** A stack says how the app is made: it is for those who look after it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Scope } from "../../src/http/Access.js"
import { held, serve } from "./Harness.js"

const exit = JSON.stringify({
  _tag: "Failure",
  cause: {
    _tag: "Die",
    defect: {
      name: "Error",
      message: "a fault",
      stack: "Error: a fault\n    at secret (/app/secret.js:1:1)",
      cause: { name: "TypeError", message: "the secret root" }
    }
  }
})

/** A run that ended with a fault, and who looks at it. */
const failed = Effect.fnUntraced(function* (options: Parameters<typeof serve>[0] = {}) {
  const server = yield* serve(options)
  const run = yield* held(server.store, { runId: "r", workflow: "Order", payload: "{}" })
  yield* server.store.complete({ held: run, status: "failed", exit })
  const as = (scopes: ReadonlyArray<Scope>) => (path: string) =>
    Effect.gen(function* () {
      const token = Redacted.value(yield* server.tokens.sign({ scopes }))
      return yield* server.get(path, { token })
    })
  return { admin: as(["admin"]), reader: as(["runs:read", "runs:write"]), server }
})

describe("where an unexpected error came from", () => {
  it.scoped("is told to tokens with the scope admin, and to no others", () =>
    Effect.gen(function* () {
      const { admin, reader } = yield* failed()
      const shown = (yield* admin("/runs/r")).body
      assert.strictEqual(
        shown.stack,
        "Error: a fault\n    at secret (/app/secret.js:1:1)\n  [cause]: TypeError: the secret root"
      )
      const hidden = yield* reader("/runs/r")
      assert.notInclude(hidden.text, "secret")
      const { stack: _, ...others } = shown
      assert.deepStrictEqual(hidden.body, others)
    })
  )

  it.scoped("is in no list and in no event, whoever asks", () =>
    Effect.gen(function* () {
      const { admin } = yield* failed()
      assert.notInclude((yield* admin("/runs")).text, "secret")
    })
  )

  it.scoped("is told to readers where a setting says so", () =>
    Effect.gen(function* () {
      const { reader } = yield* failed({ stacksForReaders: true })
      assert.include((yield* reader("/runs/r")).body.stack, "secret.js")
    })
  )

  it.scoped("is in no snapshot of a run's events", () =>
    Effect.gen(function* () {
      const { server } = yield* failed()
      const text = yield* Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${server.port}/runs/r/events`, {
          headers: { authorization: `Bearer ${server.token}` }
        })
        return await response.text()
      })
      assert.include(text, "a fault")
      assert.notInclude(text, "secret")
    })
  )
})
