import { createHash } from "node:crypto"
import { inspect } from "node:util"
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Executor from "../../src/Executor.js"
import * as Access from "../../src/http/Access.js"
import * as Authorization from "../../src/http/Authorization.js"
import { type Recorded, recorder } from "../telemetry/recorder.js"
import { Order } from "./Harness.js"

const text = (value: unknown): string =>
  typeof value === "string" ? value : inspect(value, { depth: 8, maxArrayLength: 1_000 })

const pretty = (cause: Cause.Cause<unknown>) => Cause.pretty(cause, { renderErrorCause: true })

/** A logger, and all that it is given. */
const logging = () => {
  const logged: Array<string> = []
  const logger = Logger.make<unknown, void>(({ annotations, cause, message, spans }) => {
    logged.push(
      text(message),
      text(cause),
      pretty(cause),
      text(HashMap.toEntries(annotations)),
      text([...spans])
    )
  })
  return { logged, logger }
}

/** All that a tracer is given for a span. */
const tracedOf = ({ exit, name, told }: Recorded) => [
  name,
  ...told.map(([name, value]) => `${name}=${text(value)}`),
  text(exit),
  exit?._tag === "Failure" ? pretty(exit.cause) : ""
]

/** The forms in which a secret could be seen. */
const formsOf = (secret: string) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64"),
  Buffer.from(secret).toString("base64url"),
  Buffer.from(secret).toString("hex"),
  createHash("sha256").update(secret).digest("hex")
]

describe("secrets and tokens", () => {
  it.scopedLive("are in no log, no span and no answer, whatever happens", () =>
    Effect.gen(function* () {
      const { logged, logger } = logging()
      const { spans, tracer } = recorder()
      const secrets = ["signing+secret/of=more than 32 bytes", "short one"] as const
      const strange = "not-a-secret-of-ours-but-of-somebody"
      const [first, second, foreign] = yield* Effect.all(
        [secrets[0], secrets[1], strange].map((secret) =>
          Authorization.makeTokens(Redacted.make(secret))
        )
      )
      assert.isDefined(first)
      assert.isDefined(second)
      assert.isDefined(foreign)

      let decision: Effect.Effect<boolean, unknown> = Effect.succeed(true)
      const context = yield* Executor.layerMemory({
        workflows: Order.toLayer(() => Effect.void),
        http: {
          port: 0,
          authSecret: [Redacted.make(secrets[0]), Redacted.make(secrets[1])]
        }
      }).pipe(
        Layer.provide(
          Layer.succeed(Access.RunAccess, { allows: () => Effect.suspend(() => decision) })
        ),
        Layer.provide(
          Layer.mergeAll(
            Logger.replace(Logger.defaultLogger, logger),
            Logger.minimumLogLevel(LogLevel.All)
          )
        ),
        Layer.build,
        Effect.withTracer(tracer)
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const port = address._tag === "TcpAddress" ? address.port : 0

      const answered: Array<string> = []
      const ask = (authorization: string | undefined, path = "/runs", body?: string) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}${path}`, {
            method: body === undefined ? "GET" : "POST",
            headers: {
              connection: "close",
              "content-type": "application/json",
              ...(authorization === undefined ? {} : { authorization })
            },
            ...(body === undefined ? {} : { body })
          })
          answered.push(text([...response.headers]), await response.text())
          return response.status
        })

      const tokens = (yield* Effect.all([
        first.sign(),
        second.sign({ subject: "ann", scopes: ["runs:read"] }),
        second.sign({ expiresIn: 0 }),
        first.sign({ notBefore: "1 hour" }),
        foreign.sign()
      ])).map(Redacted.value)
      const [full = "", reading = "", ...refused] = tokens

      const body = JSON.stringify({ workflow: "Order", payload: { id: "1" } })
      assert.strictEqual(yield* ask(`Bearer ${full}`, "/runs", body), 202)
      assert.strictEqual(yield* ask(`Bearer ${reading}`), 200)
      assert.strictEqual(yield* ask(`Bearer ${reading}`, "/runs", body), 403)
      for (const path of ["/runs", "/workflows", "/nowhere", "/runs/%zz"]) {
        for (const token of [...refused, ...secrets, `${full}x`, full.slice(0, -2)]) {
          assert.include([401, 404], yield* ask(`Bearer ${token}`, path))
          assert.include([401, 404], yield* ask(`Basic ${token}`, path))
          assert.include([401, 404], yield* ask(token, path))
        }
      }
      assert.strictEqual(yield* ask(`Bearer ${full}`, "/runs?limit=x"), 400)
      assert.strictEqual(yield* ask(`Bearer ${full}`, "/runs", "{"), 400)
      decision = Effect.succeed(false)
      assert.strictEqual(yield* ask(`Bearer ${full}`, "/runs", body), 403)
      decision = Effect.fail("no decision")
      assert.strictEqual(yield* ask(`Bearer ${full}`, "/runs", body), 503)
      decision = Effect.die(new Error("no decision"))
      assert.strictEqual(yield* ask(`Bearer ${full}`), 503)

      const traced = spans.flatMap(tracedOf)
      // the recording itself works
      assert.include(logged.join("\n"), "shorter than 32 bytes")
      assert.include(logged.join("\n"), "no decision")
      assert.include(traced.join("\n"), "http.request.header.authorization")

      const seen = [...logged, ...traced, ...answered].join("\n")
      for (const secret of [...secrets, strange]) {
        for (const form of formsOf(secret)) assert.notInclude(seen, form)
      }
      for (const token of tokens) {
        const [, claims = "", signature = ""] = token.split(".")
        for (const part of [token, claims, signature]) assert.notInclude(seen, part)
      }
    })
  )

  it.effect("are in no error and no service that is printed", () =>
    Effect.gen(function* () {
      const secret = "a secret that is to be kept from all"
      const secrets = [Redacted.make(secret), Redacted.make("")] as const
      const exit = yield* Effect.exit(Authorization.makeTokens(secrets))
      const tokens = yield* Authorization.makeTokens(secrets[0])
      const token = yield* tokens.sign({ expiresIn: 0 })
      const refused = yield* Effect.exit(tokens.verify(token))
      const seen = [exit, secrets, tokens, token, refused, Authorization.parseSecrets(secret)]
        .flatMap((value) => [inspect(value, { depth: 8 }), JSON.stringify(value), String(value)])
        .join("\n")
      assert.include(seen, "InvalidAuthSecret")
      assert.include(seen, "token expired")
      for (const form of formsOf(secret)) assert.notInclude(seen, form)
      assert.notInclude(seen, Redacted.value(token))
    })
  )
})
