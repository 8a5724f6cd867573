/** Nothing is upgraded here: a request that offers it is a request like any other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect, serve } from "./Harness.js"

const body = JSON.stringify({ workflow: "Order", payload: { id: "1" } })

/** As Java's client sends it, before it knows that the server has no HTTP/2. */
const offer = (token: string, to: string, expect = "") =>
  `POST /runs HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: ${to}\r\n` +
  `http2-settings: AAEAAEAAAAIAAAAB\r\n${expect}authorization: Bearer ${token}\r\n` +
  `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`

describe("a request that offers an upgrade", () => {
  for (const to of ["h2c", "websocket"]) {
    it.scopedLive(`to ${to} is answered, its body and all, and ends its connection`, () =>
      Effect.gen(function* () {
        const { port, store, token } = yield* serve()
        const client = yield* connect(port)
        yield* client.send(offer(token, to) + body)
        const answer = yield* client.until(/\}$/)
        assert.match(answer, /^HTTP\/1\.1 202 /)
        assert.match(answer, /\r\nconnection: close\r\n/i)
        yield* client.closed
        assert.lengthOf((yield* store.list({ limit: 2 })).runs, 1)
      })
    )
  }

  it.scopedLive("may wait with its body until it is asked for", () =>
    Effect.gen(function* () {
      const { port, token } = yield* serve()
      const client = yield* connect(port)
      yield* client.send(offer(token, "h2c", "expect: 100-continue\r\n"))
      yield* client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
      yield* client.send(body)
      yield* client.until(/HTTP\/1\.1 202 [\s\S]*\}$/)
    })
  )
})
