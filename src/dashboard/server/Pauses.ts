/** What is asked about workflows that are paused. */
import * as Effect from "effect/Effect"
import * as AskPauses from "../../client/AskPauses.js"
import { requests } from "./Server.js"

export const { pauses, pauseWorkflow, resumeWorkflow } = Effect.runSync(AskPauses.make(requests))
