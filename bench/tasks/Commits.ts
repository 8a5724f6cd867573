/** What SQLite itself makes of a commit, on this machine and this disk: the yardstick. */
import Database from "better-sqlite3"
import type { Session } from "../harness/Session.js"

export interface Input {
  readonly commits: number
  readonly rowsPerCommit: number
}

export interface Output {
  readonly rowsPerSecond: number
  readonly microsPerCommit: number
}

export const open = async (params: {
  readonly filename: string
}): Promise<Session<Input, Output>> => {
  const database = new Database(params.filename)
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = FULL")
  // the columns of a recorded step
  database.exec(`CREATE TABLE steps (
    run INTEGER NOT NULL, name TEXT NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL,
    started_at INTEGER NOT NULL, completed_at INTEGER, exit TEXT, PRIMARY KEY (run, name, attempt)
  ) STRICT, WITHOUT ROWID`)
  const begin = database.prepare("BEGIN IMMEDIATE")
  const insert = database.prepare("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)")
  const commit = database.prepare("COMMIT")
  let run = 0
  const exit = `{"_tag":"Success","value":1}`
  return {
    ask: async ({ commits, rowsPerCommit }) => {
      const began = performance.now()
      for (let i = 0; i < commits; i++) {
        begin.run()
        for (let row = 0; row < rowsPerCommit; row++) {
          insert.run(run++, "step1", 1, "completed", 1_700_000_000_000, 1_700_000_000_001, exit)
        }
        commit.run()
      }
      const millis = performance.now() - began
      return {
        rowsPerSecond: (commits * rowsPerCommit * 1000) / millis,
        microsPerCommit: (millis * 1000) / commits
      }
    },
    close: async () => {
      database.close()
    }
  }
}
