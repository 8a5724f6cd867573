#!/usr/bin/env node
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Command from "./cli/Command.js"
import { exitCodeOf } from "./cli/Failures.js"
import { runMain } from "./RunMain.js"

Command.run(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  runMain({
    // the command says itself what went wrong
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      onExit(exitCodeOf(exit))
      // of a process that was asked to stop nothing is to be left, whoever asked
      if (Exit.isFailure(exit)) process.exit(exitCodeOf(exit))
    }
  })
)
