/**
 * Which database of PostgreSQL, and how it is used. In a file of its own: the types of whoever takes
 * these ask for no driver.
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, and whatever else `pg` understands. */
  readonly url: Redacted.Redacted
  /**
   * The database schema that the tables are in; made where it is missing. Default:
   * `workflow_executor`.
   */
  readonly schema?: string | undefined
  /** Connections to the database at most, beside the one that listens. Default: 4. */
  readonly maxConnections?: number | undefined
  /**
   * How long an answer of the database may take. Then the connection is given up, and what became of a
   * write is asked for on another. Default: 15 seconds.
   */
  readonly answerTimeout?: Duration.DurationInput | undefined
}
