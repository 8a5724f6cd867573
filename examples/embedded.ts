/**
 * Inside a larger app, with its own database, its own HTTP server and its own config.
 *
 * `Executor.layerCore` puts the parts in order. On SIGTERM the Runner drains first; then the
 * workflows' resources go, then HTTP, then the database.
 */
import { HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { DurableDeferred } from "@effect/workflow"
import { Config, Effect, Layer, Schema } from "effect"
import { Executor, RunMain, RunnerConfig, SqliteRunStore } from "effect-workflow-executor"
import { Server } from "effect-workflow-executor/http"
import OrderLive, { Approval, Order } from "./order.js"

const orderId = Effect.map(
  HttpRouter.schemaPathParams(Schema.Struct({ orderId: Schema.String })),
  ({ orderId }) => orderId
)

const routes = HttpRouter.empty.pipe(
  HttpRouter.post(
    "/orders/:orderId",
    Effect.gen(function* () {
      // stored when this succeeds, also during a drain; `discard` does not wait for its end
      const runId = yield* Order.execute({ orderId: yield* orderId }, { discard: true })
      return yield* HttpServerResponse.json({ runId }, { status: 202 })
    })
  ),
  HttpRouter.post(
    "/orders/:orderId/approve",
    Effect.gen(function* () {
      const executionId = yield* Order.executionId({ orderId: yield* orderId })
      const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Order, executionId })
      yield* DurableDeferred.succeed(Approval, { token, value: "approved" })
      return HttpServerResponse.empty({ status: 202 })
    })
  )
)

// the server closes in bounded time, and before the routes go
const AppServer = Layer.unwrapEffect(
  Effect.map(Config.integer("APP_PORT").pipe(Config.withDefault(8080)), (port) =>
    Server.layer({ port })
  )
)
const AppHttp = Server.layerClose.pipe(
  Layer.provide(HttpServer.serve(routes, HttpMiddleware.logger)),
  Layer.provide(AppServer)
)

const AppDatabase = SqliteClient.layerConfig({
  filename: Config.string("APP_DATABASE").pipe(Config.withDefault("app.db"))
})

Executor.layerCore({ workflows: OrderLive, http: AppHttp }).pipe(
  Layer.provide(SqliteRunStore.layer),
  Layer.provide(RunnerConfig.layerFromEnv),
  Layer.provide(AppDatabase),
  Layer.launch,
  RunMain.runMain
)
