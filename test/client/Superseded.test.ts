/** A run whose place another has taken, as a client sees it that waits for it. */
import { FetchHttpClient, HttpServer } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Activity, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Client from "../../src/client/Client.js"
import * as Executor from "../../src/Executor.js"
import * as RunQueue from "../../src/engine/RunQueue.js"
import * as Authorization from "../../src/http/Authorization.js"

const authSecret = Redacted.make("0123456789abcdef0123456789abcdef")

const Sync = Workflow.make({
  name: "Sync",
  payload: { customer: Schema.String, version: Schema.Number },
  idempotencyKey: ({ customer, version }) => `${customer}/${version}`
}).annotate(
  RunQueue.RunQueue,
  RunQueue.make({
    key: ({ customer }: { readonly customer: string }) => customer,
    debounce: { period: "1 second" }
  })
)

it.scopedLive(
  "a client that waits for a run whose place was taken is told so",
  () =>
    Effect.gen(function* () {
      const context = yield* Executor.layerMemory({
        workflows: Sync.toLayer(() => Activity.make({ name: "sync", execute: Effect.void })),
        http: { port: 0, authSecret }
      }).pipe(
        Layer.provideMerge(Authorization.layerTokens(authSecret)),
        Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
        Layer.build
      )
      const baseUrl = HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
      const token = yield* Context.get(context, Authorization.Tokens).sign()
      const client = yield* Effect.provide(
        Client.make({ baseUrl, token, pollInterval: "50 millis" }),
        FetchHttpClient.layer
      )
      const first = yield* client.start(Sync, { customer: "ada", version: 1 })
      const waits = yield* Effect.fork(Effect.exit(client.result(Sync, first)))
      // for its request to have come: nothing else tells of that
      yield* Effect.sleep("300 millis")
      const second = yield* client.start(Sync, { customer: "ada", version: 2 })
      yield* client.result(Sync, second)
      const gone = yield* Effect.flip(client.get(first))
      assert.strictEqual(gone._tag, "RunNotFound")
      const answer = yield* Effect.timeout(Fiber.join(waits), "10 seconds")
      assert.deepStrictEqual(answer, Exit.fail(gone))
    }),
  30_000
)
