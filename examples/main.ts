/** A program of one's own: these workflows on a SQLite file, with the HTTP API. */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { Executor } from "effect-workflow-executor"
import OrderLive from "./order.js"

Executor.layer({ workflows: OrderLive }).pipe(Layer.launch, NodeRuntime.runMain)
