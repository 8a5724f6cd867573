/** What is asked about queues. */
import * as Effect from "effect/Effect"
import * as AskQueues from "../../client/AskQueues.js"
import { requests } from "./Server.js"

export const { changeQueue, queues } = Effect.runSync(AskQueues.make(requests))
