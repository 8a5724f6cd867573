import * as Effect from "effect/Effect"
import * as Removal from "../Removal.js"

/** So that no other run is ever given this id, by which its holders of once write. */
const keepId = "UPDATE workflow_ids SET last = ? WHERE id = 1 AND last < ?"

export const removeRun: Removal.RemoveRun = (transaction, run) =>
  Effect.zipLeft(Removal.removeRun(transaction, run), transaction.changes(keepId, [run.id, run.id]))
