/**
 * The command line.
 */

import { createRequire } from "node:module"
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { start } from "./Start.js"

const module = Args.text({ name: "module" }).pipe(
  Args.withDescription(
    "The module of workflows: a path or a package, JavaScript (ESM) or TypeScript, whose default export is a Layer. Without one the bundled example runs."
  ),
  Args.optional
)

const variable = (option: string, description: string) =>
  Options.text(option).pipe(Options.withDescription(description), Options.optional)

const startCommand = Cli.make(
  "start",
  {
    module,
    database: variable("database", "SQLite file (DATABASE_FILE; data/executor.db)"),
    host: variable("host", "Name or address to listen on (HOST; 127.0.0.1)"),
    port: variable("port", "Port to listen on, 0 for a free one (PORT; 3400)"),
    stopTimeout: variable(
      "stop-timeout",
      'How long a stop waits for steps in flight, such as "30 seconds" (STOP_TIMEOUT)'
    )
  },
  ({ database, host, module, port, stopTimeout }) =>
    start({
      module,
      variables: { DATABASE_FILE: database, HOST: host, PORT: port, STOP_TIMEOUT: stopTimeout }
    })
).pipe(
  Cli.withDescription(
    HelpDoc.p("Runs workflows until SIGTERM or SIGINT, then finishes the steps in flight.")
  )
)

const packageJson = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))

const version = () => packageJson(createRequire(import.meta.url)("../../package.json")).version

/** Runs the command; `argv` as Node gives it. Fails when the process is to end with code 1. */
export const run = (argv: ReadonlyArray<string>) =>
  Effect.suspend(() =>
    Cli.run(
      Cli.make("workflow-executor").pipe(
        Cli.withDescription("Durable workflow executor for Effect"),
        Cli.withSubcommands([startCommand])
      ),
      { name: "workflow-executor", version: version(), executable: "workflow-executor" }
    )(argv)
  )
