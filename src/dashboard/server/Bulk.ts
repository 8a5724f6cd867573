/** What is asked about operations on many runs. */
import * as Effect from "effect/Effect"
import * as AskBulk from "../../client/AskBulk.js"
import { requests } from "./Server.js"

export const { bulk, bulkOperation, bulkOperations, cancelBulk, previewBulk } = Effect.runSync(
  AskBulk.make(requests)
)
