#!/usr/bin/env node
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Command from "./cli/Command.js"

Command.run(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  // the command says itself what went wrong
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true })
)
