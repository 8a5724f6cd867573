/** The command as a process. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { runMain } from "../RunMain.js"
import * as Command from "./Command.js"
import { exitCodeOf } from "./Failures.js"

/** Runs what the arguments of the process ask for, until it is over or a signal comes. */
export const main = (): void =>
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
