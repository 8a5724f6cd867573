/** A process that executes orders, on either engine as it comes. */
import { ClusterWorkflowEngine, RunnerAddress } from "@effect/cluster"
import { NodeClusterSocket, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import type { WorkflowEngine } from "@effect/workflow"
import { Effect, Layer, Logger, LogLevel, Option, Redacted, Runtime } from "effect"
import * as Executor from "../../src/Executor.js"
import * as Order from "./Order.js"

export interface Params {
  readonly engine: "cluster" | "executor"
  readonly url: string
  /** Of the cluster's own protocol. */
  readonly port: number
  /** What the steps tell. */
  readonly file: string
}

export type Ask =
  | { readonly _tag: "Start"; readonly runs: ReadonlyArray<string>; readonly millis: number }
  | { readonly _tag: "Poll"; readonly runs: ReadonlyArray<string>; readonly millis: number }

/** To the question with this number: how each run stands, or the id of what was started. */
export interface Answer {
  readonly number: number
  readonly told: ReadonlyArray<string>
}

export interface Question {
  readonly number: number
  readonly ask: Ask
}

const answer = ({ _tag, millis, runs }: Ask) =>
  Effect.forEach(
    runs,
    (id) => {
      const payload = { id, millis }
      if (_tag === "Start") return Order.Order.execute(payload, { discard: true })
      return Order.Order.executionId(payload).pipe(
        Effect.flatMap((runId) => Order.Order.poll(runId)),
        Effect.map((result) => {
          if (result === undefined) return "under way"
          return result._tag === "Complete" ? result.exit._tag : result._tag
        })
      )
    },
    { concurrency: "unbounded" }
  )

const answering = Layer.effectDiscard(
  Effect.map(Effect.runtime<WorkflowEngine.WorkflowEngine>(), (runtime) => {
    process.on("message", ({ ask, number }: Question) => {
      Runtime.runPromise(runtime)(answer(ask)).then(
        (told) => process.send?.({ number, told }),
        (error: unknown) => process.send?.({ number, told: [String(error)] })
      )
    })
    process.send?.("ready")
  })
)

const cluster = ({ file, port, url }: Params) =>
  answering.pipe(
    Layer.provide(Order.layer(file)),
    Layer.provide(ClusterWorkflowEngine.layer),
    Layer.provide(
      NodeClusterSocket.layer({
        storage: "sql",
        shardingConfig: {
          runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", port))
        }
      })
    ),
    Layer.provide(PgClient.layer({ url: Redacted.make(url) }))
  )

const executor = ({ file, url }: Params) =>
  answering.pipe(
    Layer.provide(
      Executor.layerPostgres({
        workflows: Order.layer(file),
        url: Redacted.make(url),
        http: false
      })
    )
  )

const params: Params = JSON.parse(process.argv[2] ?? "{}")

process.once("disconnect", () => process.exit(1))

const main: Effect.Effect<never, unknown> =
  params.engine === "cluster" ? Layer.launch(cluster(params)) : Layer.launch(executor(params))

main.pipe(Logger.withMinimumLogLevel(LogLevel.Warning), NodeRuntime.runMain)
