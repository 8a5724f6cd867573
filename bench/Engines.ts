/**
 * What is compared. All of them execute the same workflow code, and each runs as it comes: no
 * setting is tuned for a case, but for bounds that a case would run into.
 */
import { WorkflowEngine } from "@effect/workflow"
import { Effect, Layer } from "effect"
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

export interface EngineOptions {
  readonly engine: Engine
  /** For the engines that have a file; it is made when it is missing. */
  readonly filename: string
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

export const layer = ({
  config,
  engine,
  filename
}: EngineOptions): Layer.Layer<WorkflowEngine.WorkflowEngine> => {
  switch (engine) {
    case "sqlite":
      return executor(config).pipe(
        Layer.provide(SqliteRunStore.layerFile({ filename })),
        Layer.orDie
      )
    case "memory":
      return executor(config).pipe(Layer.provide(SqliteRunStore.layerMemory), Layer.orDie)
    case "upstream":
      return WorkflowEngine.layerMemory
    case "cluster":
      return Layer.orDie(cluster(filename))
  }
}
