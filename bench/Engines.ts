/**
 * What is compared. All of them execute the same workflow code, and each runs as it comes: no
 * setting is tuned for a case, but for bounds that a case would run into.
 */
import { WorkflowEngine } from "@effect/workflow"
import { Effect, Layer, Redacted } from "effect"
import * as Executor from "../src/Executor.js"
import * as RunnerConfig from "../src/engine/RunnerConfig.js"
import * as SqliteRunStore from "../src/store/sqlite/SqliteRunStore.js"

export const labels = {
  sqlite: "this, SQLite FULL",
  memory: "this, in memory",
  upstream: "WorkflowEngine.layerMemory",
  cluster: "SingleRunner, SQLite"
} as const

export type Engine = keyof typeof labels

export const all: ReadonlyArray<Engine> = ["sqlite", "memory", "upstream", "cluster"]

/** Not one of `all`: it needs a server, which the case that compares it starts. */
export const postgresLabel = "this, PostgreSQL"

export interface OnPostgres {
  readonly engine: "postgres"
  readonly url: string
  /** Made when it is missing. */
  readonly schema: string
}

export type EngineOptions = (
  | OnPostgres
  | {
      readonly engine: Engine
      /** For the engines that have a file; it is made when it is missing. */
      readonly filename: string
    }
) & {
  /** Bounds of our own engines. */
  readonly config?: Partial<RunnerConfig.RunnerOptions> | undefined
}

const executor = (config: EngineOptions["config"]) =>
  Executor.layerCore({ workflows: Layer.empty }).pipe(Layer.provide(RunnerConfig.layer(config)))

/** Loaded when it is asked for, so that nobody else's start and memory include its modules. */
const cluster = (filename: string) =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("./Cluster.js")),
      (module) => module.layer(filename)
    )
  )

const postgres = ({ schema, url }: OnPostgres) =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("../src/store/postgres/PostgresRunStore.js")),
      (store) => store.layerUrl({ url: Redacted.make(url), schema })
    )
  )

export const layer = (options: EngineOptions): Layer.Layer<WorkflowEngine.WorkflowEngine> => {
  const ours = executor(options.config)
  switch (options.engine) {
    case "sqlite":
      return ours.pipe(Layer.provide(SqliteRunStore.layerFile(options)), Layer.orDie)
    case "memory":
      return ours.pipe(Layer.provide(SqliteRunStore.layerMemory), Layer.orDie)
    case "postgres":
      return ours.pipe(Layer.provide(postgres(options)), Layer.orDie)
    case "upstream":
      return WorkflowEngine.layerMemory
    case "cluster":
      return Layer.orDie(cluster(options.filename))
  }
}
