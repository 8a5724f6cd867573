/** The commands of executors: `start`, `token`, `executors` and `drain`. */
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Scope } from "../../api/Access.js"
import {
  argument,
  calling,
  databaseUrl,
  load,
  optionalText,
  parseDuration,
  runsCommands,
  target
} from "./Common.js"

const module = argument(
  "module",
  "The module of workflows: a path or a package, JavaScript (ESM) or TypeScript, whose default export is a Layer. Without one the bundled example runs."
).pipe(Args.optional)

export const startCommand = Cli.make(
  "start",
  {
    module,
    database: optionalText("database", "SQLite file (DATABASE_FILE; data/executor.db)"),
    databaseUrl: databaseUrl("PostgreSQL instead (DATABASE_URL, and DATABASE_SCHEMA)"),
    host: optionalText("host", "Name or address to listen on (HOST; 127.0.0.1)"),
    port: optionalText("port", "Port to listen on, 0 for a free one (PORT; 3400)"),
    stopTimeout: optionalText(
      "stop-timeout",
      'How long a stop waits for steps in flight, such as "30 seconds" (STOP_TIMEOUT)'
    )
  },
  ({ database, databaseUrl, host, module, port, stopTimeout }) =>
    Effect.flatMap(
      load(() => import("../Start.js")),
      ({ start }) =>
        start({
          module,
          variables: {
            DATABASE_FILE: database,
            DATABASE_URL: Option.map(databaseUrl, Redacted.value),
            HOST: host,
            PORT: port,
            STOP_TIMEOUT: stopTimeout
          }
        })
    )
).pipe(
  Cli.withDescription(
    HelpDoc.p(
      "Runs workflows until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then finishes the steps in flight."
    )
  )
)

export const tokenCommand = Cli.make(
  "token",
  {
    scopes: Options.choice("scope", [
      "runs:read",
      "runs:write",
      "admin"
    ] satisfies Array<Scope>).pipe(
      Options.withDescription("What it is for; may be repeated. Without one, for everything"),
      Options.repeated
    ),
    subject: optionalText("subject", "Who it is for: the sub claim"),
    expiresIn: Options.text("expires-in").pipe(
      Options.withDescription('How long it is valid, such as "2 hours" ("1 day")'),
      Options.withDefault("1 day"),
      Options.mapEffect(parseDuration("expires-in"))
    )
  },
  (options) =>
    calling(
      () => import("../Token.js"),
      ({ token }) => token(options),
      LogLevel.Warning
    )
).pipe(Cli.withDescription("Prints a bearer token for the API, signed with AUTH_SECRET."))

export const executorsCommand = Cli.make("executors", target, (options) =>
  runsCommands(({ executors }) => executors(options))
).pipe(
  Cli.withDescription(
    "Lists the executors, and what they hold. The API asks for a token with the scope admin."
  )
)

export const drainCommand = Cli.make(
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
    calling(
      () => import("../Drain.js"),
      ({ drain }) => drain(options)
    )
).pipe(
  Cli.withDescription(
    "Lets a running executor drain and stop, as SIGTERM does, and waits until it has. Exit code 3: not within --timeout. The API asks for a token with the scope admin."
  )
)
