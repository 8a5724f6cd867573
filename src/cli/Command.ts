/**
 * The command line.
 *
 * What a command does is imported when it is called: none waits for the modules of the others.
 */

import { createRequire } from "node:module"
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Completions from "./Completions.js"
import * as Failures from "./Failures.js"
import * as Output from "./Output.js"

const load = <A>(module: () => Promise<A>) => Effect.promise(module)

/** A command that answers on standard output; what goes wrong is told beside it. */
const answering = <A, E, R>(effect: Effect.Effect<A, E, R>, level = LogLevel.Fatal) =>
  effect.pipe(Failures.reported, Output.logBeside(level), (answer) =>
    Effect.zipRight(Output.endWithReader, answer)
  )

// ---------------------------------------------------------------------------------------------
// start
// ---------------------------------------------------------------------------------------------

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
    Effect.flatMap(
      load(() => import("./Start.js")),
      ({ start }) =>
        start({
          module,
          variables: { DATABASE_FILE: database, HOST: host, PORT: port, STOP_TIMEOUT: stopTimeout }
        })
    )
).pipe(
  Cli.withDescription(
    HelpDoc.p("Runs workflows until SIGTERM or SIGINT, then finishes the steps in flight.")
  )
)

// ---------------------------------------------------------------------------------------------
// token
// ---------------------------------------------------------------------------------------------

const parseDuration = (option: string) => (text: string) =>
  Duration.decodeUnknown(text).pipe(
    Option.filter(
      (duration) => Duration.isFinite(duration) && Duration.greaterThan(duration, Duration.zero)
    ),
    Either.fromOption(() =>
      ValidationError.invalidValue(
        HelpDoc.p(`--${option} is ${JSON.stringify(text)}; expected a duration such as "2 hours"`)
      )
    )
  )

const tokenCommand = Cli.make(
  "token",
  {
    scopes: Options.choice("scope", ["runs:read", "runs:write", "admin"]).pipe(
      Options.withDescription("What it is for; may be repeated. Without one, for everything"),
      Options.repeated
    ),
    subject: variable("subject", "Who it is for: the sub claim"),
    expiresIn: Options.text("expires-in").pipe(
      Options.withDescription('How long it is valid, such as "2 hours" ("1 day")'),
      Options.withDefault("1 day"),
      Options.mapEffect(parseDuration("expires-in"))
    )
  },
  (options) =>
    answering(
      Effect.flatMap(
        load(() => import("./Token.js")),
        ({ token }) => token(options)
      ),
      LogLevel.Warning
    )
).pipe(Cli.withDescription("Prints a bearer token for the API, signed with AUTH_SECRET."))

// ---------------------------------------------------------------------------------------------
// runs
// ---------------------------------------------------------------------------------------------

const json = Options.boolean("json").pipe(
  Options.withDescription("JSON instead of tables, for programs")
)

const target = {
  json,
  url: variable("url", "API of a running executor (http://HOST:PORT; http://127.0.0.1:3400)"),
  token: Options.redacted("token").pipe(
    Options.withDescription(
      "Bearer token (WORKFLOW_EXECUTOR_TOKEN; else one that is signed with AUTH_SECRET)"
    ),
    Options.optional
  ),
  database: variable("database", "Work on this SQLite file itself, instead of on an API")
}

const runId = Args.text({ name: "run" }).pipe(Args.withDescription("The run's id"))

const runsCommands = <A>(
  use: (commands: typeof import("./RunsCommands.js")) => Effect.Effect<A, unknown>
) =>
  answering(
    Effect.flatMap(
      load(() => import("./RunsCommands.js")),
      use
    )
  )

const moment = (option: string, description: string) =>
  Options.date(option).pipe(
    Options.withDescription(`${description}, such as 2026-11-22 or 2026-11-22T18:00:00Z`),
    Options.optional
  )

const listCommand = Cli.make(
  "list",
  {
    ...target,
    workflow: variable("workflow", "Only runs of this workflow"),
    status: Options.choice("status", [
      "pending",
      "running",
      "suspended",
      "completed",
      "failed",
      "interrupted"
    ]).pipe(Options.withDescription("Only runs in this status; may be repeated"), Options.repeated),
    limit: Options.integer("limit").pipe(
      Options.withSchema(
        Schema.Int.pipe(
          Schema.between(1, 200, { message: () => "--limit is a whole number from 1 to 200" })
        )
      ),
      Options.withDescription("How many, 1 to 200 (50)"),
      Options.withDefault(50)
    ),
    createdAfter: moment("created-after", "Only runs created then or later"),
    createdBefore: moment("created-before", "Only runs created earlier"),
    cursor: variable("cursor", "Go on where the page before has ended")
  },
  ({ createdAfter, createdBefore, cursor, limit, status, workflow, ...options }) =>
    runsCommands(({ list }) =>
      list(options, {
        limit,
        status,
        workflow: Option.getOrUndefined(workflow),
        createdAfter: Option.getOrUndefined(createdAfter),
        createdBefore: Option.getOrUndefined(createdBefore),
        cursor: Option.getOrUndefined(cursor)
      })
    )
).pipe(Cli.withDescription("Lists runs, newest first."))

const showCommand = Cli.make("show", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ show }) => show(options, run))
).pipe(Cli.withDescription("Shows a run with its steps. Exit code 4: there is no such run."))

const jsonArgument = (name: string, description: string) =>
  Args.text({ name }).pipe(Args.withDescription(description), Args.optional)

const startRunCommand = Cli.make(
  "start",
  {
    ...target,
    watch: Options.boolean("watch").pipe(
      Options.withDescription("Then follow it until it is over, as runs watch does")
    ),
    workflow: Args.text({ name: "workflow" }).pipe(Args.withDescription("The workflow's name")),
    payload: jsonArgument("payload", "JSON object; - reads it from standard input ({})")
  },
  ({ payload, watch, workflow, ...options }) =>
    runsCommands(({ start }) => start(options, { workflow, payload, watch }))
).pipe(Cli.withDescription("Starts a run on a running executor, and prints its id. Not on a file."))

const watchCommand = Cli.make("watch", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ watch }) => watch(options, run))
).pipe(
  Cli.withDescription(
    "Follows a run until it is over, a line for each change. Exit code 0: it completed; 3: it failed or was interrupted; 4: there is no such run."
  )
)

const interruptCommand = Cli.make("interrupt", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ interrupt }) => interrupt(options, run))
).pipe(Cli.withDescription("Asks for a run's interrupt: its compensations are executed."))

const resumeCommand = Cli.make("resume", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ resume }) => resume(options, run))
).pipe(Cli.withDescription("Wakes a suspended run."))

const signalCommand = Cli.make(
  "signal",
  {
    ...target,
    run: runId,
    name: Args.text({ name: "name" }).pipe(Args.withDescription("The DurableDeferred's name")),
    value: jsonArgument("value", "JSON; - reads it from standard input (null)")
  },
  ({ name, run, value, ...options }) =>
    runsCommands(({ signal }) => signal(options, { runId: run, name, value }))
).pipe(
  Cli.withDescription(
    "Completes a run's DurableDeferred. An executor checks the value by the schema; on a file nobody does."
  )
)

const retryCommand = Cli.make("retry", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ retry }) => retry(options, run))
).pipe(
  Cli.withDescription(
    "Lets a run that failed or was interrupted go on from the step that failed. Recorded steps stay."
  )
)

const deleteCommand = Cli.make("delete", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ remove }) => remove(options, run))
).pipe(Cli.withDescription("Deletes a run that is over, with all that is recorded of it."))

const countsCommand = Cli.make("counts", target, (options) =>
  runsCommands(({ counts }) => counts(options))
).pipe(Cli.withDescription("Tells how many runs there are in each status."))

const executorsCommand = Cli.make("executors", target, (options) =>
  runsCommands(({ executors }) => executors(options))
).pipe(
  Cli.withDescription(
    "Lists the executors, and what they hold. The API asks for a token with the scope admin."
  )
)

const drainCommand = Cli.make(
  "drain",
  {
    ...target,
    noWait: Options.boolean("no-wait", { negationNames: ["wait"] }).pipe(
      Options.withDescription("Whether to wait until it has stopped (--wait)")
    ),
    timeout: Options.text("timeout").pipe(
      Options.withDescription('How long to wait, such as "10 minutes" ("2 minutes")'),
      Options.withDefault("2 minutes"),
      Options.mapEffect(parseDuration("timeout"))
    )
  },
  (options) =>
    answering(
      Effect.flatMap(
        load(() => import("./Drain.js")),
        ({ drain }) => drain(options)
      )
    )
).pipe(
  Cli.withDescription(
    "Lets a running executor drain and stop, as SIGTERM does, and waits until it has. Exit code 3: not within --timeout. The API asks for a token with the scope admin."
  )
)

const runsCommand = Cli.make("runs").pipe(
  Cli.withDescription("Runs, on a running executor's API or straight on the database file."),
  Cli.withSubcommands([
    listCommand,
    showCommand,
    startRunCommand,
    watchCommand,
    interruptCommand,
    resumeCommand,
    retryCommand,
    deleteCommand,
    countsCommand,
    signalCommand
  ])
)

// ---------------------------------------------------------------------------------------------
// The file
// ---------------------------------------------------------------------------------------------

const file = {
  json,
  database: variable("database", "SQLite file (DATABASE_FILE; data/executor.db)")
}

const migrateCommand = Cli.make("migrate", file, (options) =>
  answering(
    Effect.flatMap(
      load(() => import("./Migrate.js")),
      ({ migrate }) => migrate(options)
    )
  )
).pipe(Cli.withDescription("Brings a database file's schema to this version, as a start does too."))

const pruneCommand = Cli.make(
  "prune",
  {
    ...file,
    olderThan: Options.text("older-than").pipe(
      Options.withDescription('Runs that have been over for longer, such as "30 days"'),
      Options.mapEffect(parseDuration("older-than")),
      Options.optional
    ),
    keep: Options.integer("keep").pipe(
      Options.withSchema(
        Schema.Int.pipe(
          Schema.nonNegative({ message: () => "--keep is a whole number, 0 or more" })
        )
      ),
      Options.withDescription("All but so many of the newest"),
      Options.optional
    )
  },
  (options) =>
    answering(
      Effect.flatMap(
        load(() => import("./Prune.js")),
        ({ prune }) => prune(options)
      )
    )
).pipe(
  Cli.withDescription("Removes runs that are over from a database file, also beside executors.")
)

const doctorCommand = Cli.make(
  "doctor",
  {
    ...file,
    full: Options.boolean("full").pipe(
      Options.withDescription("SQLite's integrity_check instead of its quick_check")
    )
  },
  (options) =>
    answering(
      Effect.flatMap(
        load(() => import("./Doctor.js")),
        ({ doctor }) => doctor(options)
      )
    )
).pipe(
  Cli.withDescription(
    "Checks a database file, its executors and what waits in it. Exit code 1: something is wrong."
  )
)

// ---------------------------------------------------------------------------------------------
// The whole
// ---------------------------------------------------------------------------------------------

const packageJson = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))

const version = () => packageJson(createRequire(import.meta.url)("../../package.json")).version

const command = Cli.make("workflow-executor").pipe(
  Cli.withDescription(
    "Durable workflow executor for Effect. Exit codes: 0 done, 1 error, 2 wrong usage, 3 the run that was watched failed, or the drain took too long, 4 no such run."
  ),
  Cli.withSubcommands([
    startCommand,
    runsCommand,
    executorsCommand,
    drainCommand,
    tokenCommand,
    migrateCommand,
    pruneCommand,
    doctorCommand
  ])
)

/** Runs the command; `argv` as Node gives it. How it fails says the exit code: `exitCodeOf`. */
export const run = (argv: ReadonlyArray<string>) =>
  Effect.suspend(() =>
    Cli.run(command, {
      name: "workflow-executor",
      version: version(),
      executable: "workflow-executor"
    })(argv)
  ).pipe(Completions.mended(argv))
