/** Fills a file with runs. */
import Database from "better-sqlite3"
import type { Session } from "../harness/Session.js"
import * as Copies from "../seed/Copies.js"
import * as Template from "../seed/Template.js"

export interface Input {
  /** `held`: begun, by an executor that died and whose lease has lapsed. */
  readonly kind: Template.Kind | "held"
  readonly count: number
  /** Of `sleeping`: when they wake, in milliseconds since the epoch; as the template when left out. */
  readonly wakeAt?: number | undefined
}

/** The copy with number `i`, counted from 1, has this key plus `i`. */
export interface Output {
  readonly key: number
}

export const open = async (params: {
  readonly filename: string
}): Promise<Session<Input, Output>> => ({
  ask: async ({ count, kind, wakeAt }) => {
    const template = await Template.make(params.filename, kind === "held" ? "begun" : kind)
    const database = new Database(params.filename)
    try {
      database.pragma("synchronous = OFF")
      const key = Copies.add(database, {
        template,
        count,
        set: {
          ...(wakeAt === undefined ? {} : { wake_at: String(wakeAt) }),
          ...(kind === "held" ? heldBy(addDeadExecutor(database)) : {})
        }
      })
      // what is measured later does not begin with a checkpoint of all this
      database.pragma("wal_checkpoint(TRUNCATE)")
      return { key }
    } finally {
      database.close()
    }
  },
  close: async () => {}
})

const heldBy = (executor: number) => ({
  status: "'running'",
  executor: String(executor)
})

const addDeadExecutor = (database: Database.Database): number =>
  Number(
    database
      .prepare(
        `INSERT INTO workflow_executors (host, pid, state, started_at, lease_until)
         VALUES ('gone', 1, 'running', 0, 1)`
      )
      .run().lastInsertRowid
  )
