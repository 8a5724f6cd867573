/** Runs that are not over, as another process sees them in the file. */
import Database from "better-sqlite3"
import { pause } from "../harness/Process.js"

/** Waits until nothing is pending, and no executor holds a run. */
export const allOver = async (filename: string, everyMillis: number): Promise<void> => {
  const database = new Database(filename, { readonly: true })
  const unfinished = database
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM workflow_runs WHERE status = 'pending')
           OR EXISTS (SELECT 1 FROM workflow_runs WHERE status = 'running' AND executor > 0)`
    )
    .pluck()
  while (unfinished.get() === 1) await pause(everyMillis)
  database.close()
}
