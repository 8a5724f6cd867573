/** A program of one's own: these workflows on a SQLite file, with the HTTP API. */
import { Layer } from "effect"
import { Executor, RunMain } from "effect-workflow-executor"
import OrderLive from "./order.js"

Executor.layer({ workflows: OrderLive }).pipe(Layer.launch, RunMain.runMain)
