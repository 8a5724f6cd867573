import { ClusterWorkflowEngine, SingleRunner } from "@effect/cluster"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Layer } from "effect"

/**
 * SingleRunner leaves better-sqlite3's default, `synchronous = NORMAL`, which loses the last commits
 * with the power: a difference in its favour.
 */
export const layer = (filename: string) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provide(SingleRunner.layer()),
    Layer.provide(SqliteClient.layer({ filename }))
  )
