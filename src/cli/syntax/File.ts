/** The commands of a database: `migrate`, `copy`, `prune` and `doctor`. */
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { calling, databaseUrl, integer, json, optionalText, parseDuration } from "./Common.js"

const file = {
  json,
  database: optionalText("database", "SQLite file (DATABASE_FILE; data/executor.db)"),
  databaseUrl: databaseUrl("PostgreSQL instead (DATABASE_URL, and DATABASE_SCHEMA)")
}

export const migrateCommand = Cli.make("migrate", file, (options) =>
  calling(
    () => import("../MigrateCommand.js"),
    ({ migrate }) => migrate(options)
  )
).pipe(Cli.withDescription("Brings a database's schema to this version, as a start does too."))

export const copyCommand = Cli.make(
  "copy",
  {
    json,
    from: optionalText("from", "SQLite file, or postgres://... (DATABASE_URL)"),
    to: optionalText("to", "postgres://..., or SQLite file (DATABASE_URL)"),
    schema: optionalText("schema", "PostgreSQL's schema (DATABASE_SCHEMA; workflow_executor)"),
    cancel: Options.boolean("cancel").pipe(
      Options.withDescription("Give up a copy that is under way: the source may be used again")
    )
  },
  (options) =>
    calling(
      () => import("../Copy.js"),
      ({ copy }) => copy(options)
    )
).pipe(
  Cli.withDescription(
    "Copies all that a file has into PostgreSQL, or back, once every executor is stopped. What is copied from is out of use then. Goes on where it was ended."
  )
)

export const pruneCommand = Cli.make(
  "prune",
  {
    ...file,
    olderThan: Options.text("older-than").pipe(
      Options.withDescription('Runs that have been over for longer, such as "30 days"'),
      Options.mapEffect(parseDuration("older-than")),
      Options.optional
    ),
    keep: integer("keep", { min: 0, max: Number.MAX_SAFE_INTEGER, allowed: "0 or more" }).pipe(
      Options.withDescription("All but so many of the newest"),
      Options.optional
    )
  },
  (options) =>
    calling(
      () => import("../Prune.js"),
      ({ prune }) => prune(options)
    )
).pipe(Cli.withDescription("Removes runs that are over from a database, also beside executors."))

export const doctorCommand = Cli.make(
  "doctor",
  {
    ...file,
    full: Options.boolean("full").pipe(
      Options.withDescription("SQLite's integrity_check instead of its quick_check")
    )
  },
  (options) =>
    calling(
      () => import("../Doctor.js"),
      ({ doctor }) => doctor(options)
    )
).pipe(
  Cli.withDescription(
    "Checks a database, its executors and what waits in it. Exit code 1: something is wrong."
  )
)
