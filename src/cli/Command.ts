/**
 * The command line. What a command takes is in `syntax/`, what it does in a module of its own beside
 * this one.
 */
import * as Cli from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import { version } from "../internal/Version.js"
import * as Arguments from "./Arguments.js"
import * as Failures from "./Failures.js"
import * as Output from "./Output.js"
import * as Printed from "./Printed.js"
import { bulkCommand } from "./syntax/Bulk.js"
import { drainCommand, executorsCommand, startCommand, tokenCommand } from "./syntax/Executors.js"
import { copyCommand, doctorCommand, migrateCommand, pruneCommand } from "./syntax/File.js"
import { queuesCommand } from "./syntax/Queues.js"
import { runsCommand } from "./syntax/Runs.js"
import { schedulesCommand } from "./syntax/Schedules.js"
import { workflowsCommand } from "./syntax/Workflows.js"

const command = Cli.make("workflow-executor").pipe(
  Cli.withDescription(
    "Durable workflow executor for Effect. Exit codes: 0 done, 1 error, 2 wrong usage, 3 the run that was watched failed, or the drain took too long, 4 no such run or schedule."
  ),
  Cli.withSubcommands([
    startCommand,
    runsCommand,
    workflowsCommand,
    queuesCommand,
    schedulesCommand,
    bulkCommand,
    executorsCommand,
    drainCommand,
    tokenCommand,
    migrateCommand,
    copyCommand,
    pruneCommand,
    doctorCommand
  ])
)

const commands: Printed.Commands = {
  ...Object.fromEntries(
    [...HashMap.keys(Cli.getSubcommands(command))].sort().map((name) => [name, []])
  ),
  runs: [...HashMap.keys(Cli.getSubcommands(runsCommand))].sort(),
  bulk: [...HashMap.keys(Cli.getSubcommands(bulkCommand))].sort(),
  queues: [...HashMap.keys(Cli.getSubcommands(queuesCommand))].sort(),
  workflows: [...HashMap.keys(Cli.getSubcommands(workflowsCommand))].sort(),
  schedules: [...HashMap.keys(Cli.getSubcommands(schedulesCommand))].sort()
}

/** These are answered before any command is. */
const builtIn: ReadonlySet<string> = new Set(["--help", "-h", "--version", "--completions"])

/** Runs the command; `argv` as Node gives it. How it fails says the exit code: `exitCodeOf`. */
export const run = (argv: ReadonlyArray<string>) =>
  Effect.zipRight(
    Effect.when(Output.endWithReader, () => argv.some((word) => builtIn.has(word))),
    Either.match(Arguments.separated(argv), {
      onLeft: (message) => Failures.reported(Effect.fail(new Failures.UsageError({ message }))),
      onRight: Cli.run(command, {
        name: "workflow-executor",
        version,
        executable: "workflow-executor"
      })
    })
  ).pipe(Printed.mended(argv, commands))
