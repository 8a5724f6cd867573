/** The command `schedules`, with the commands under it. */
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { maxSchedulesPage, overlaps } from "../../api/Schedules.js"
import { argument, calling, integer, moment, optionalText, target } from "./Common.js"

/** A command of `SchedulesCommands`. */
const schedulesCommands = <A>(
  use: (commands: typeof import("../SchedulesCommands.js")) => Effect.Effect<A, unknown>
) => calling(() => import("../SchedulesCommands.js"), use)

const schedule = argument("schedule", "The schedule's name")

const listCommand = Cli.make(
  "list",
  {
    ...target,
    limit: integer("limit", { min: 1, max: maxSchedulesPage, allowed: "1 to 100" }).pipe(
      Options.withDescription("How many, 1 to 100 (50)"),
      Options.withDefault(50)
    ),
    cursor: optionalText("cursor", "Go on where the page before has ended")
  },
  ({ cursor, limit, ...options }) =>
    schedulesCommands(({ list }) => list(options, { limit, cursor: Option.getOrUndefined(cursor) }))
).pipe(Cli.withDescription("Lists schedules, with their next ticks and last runs."))

const showCommand = Cli.make("show", { ...target, schedule }, ({ schedule, ...options }) =>
  schedulesCommands(({ show }) => show(options, schedule))
).pipe(Cli.withDescription("Shows a schedule. Exit code 4: there is none of that name."))

const putCommand = Cli.make(
  "put",
  {
    ...target,
    cron: optionalText(
      "cron",
      'Minute, hour, day, month and weekday, such as "0 3 * * *"; a second before them if wanted'
    ),
    every: optionalText("every", 'An interval instead, such as "5 minutes"'),
    timeZone: optionalText("time-zone", "Of the cron, such as Europe/Berlin (UTC)"),
    overlap: Options.choice("overlap", overlaps).pipe(
      Options.withDescription("What becomes of a tick while a run is under way (skip)"),
      Options.optional
    ),
    catchUp: optionalText(
      "catch-up",
      'How old a tick may be that is still started, such as "1 day" (until the next is due)'
    ),
    jitter: optionalText("jitter", 'Start runs up to that much later, such as "30 seconds"'),
    end: moment("end", "No tick later than then"),
    count: integer("count", { min: 1, max: Number.MAX_SAFE_INTEGER, allowed: "1 or more" }).pipe(
      Options.withDescription("Start so many ticks, and no more"),
      Options.optional
    ),
    paused: Options.boolean("paused").pipe(
      Options.withDescription("Pause it too (as it is; a new one is not)")
    ),
    schedule,
    workflow: argument("workflow", "The workflow's name"),
    payload: argument("payload", "JSON object; - reads it from standard input ({})").pipe(
      Args.optional
    )
  },
  ({ json, url, token, database, databaseUrl, ...put }) =>
    schedulesCommands((commands) => commands.put({ json, url, token, database, databaseUrl }, put))
).pipe(
  Cli.withDescription(
    "Makes a schedule on a running executor, or one that is there another. Not on a file."
  )
)

const deleteCommand = Cli.make("delete", { ...target, schedule }, ({ schedule, ...options }) =>
  schedulesCommands(({ remove }) => remove(options, schedule))
).pipe(Cli.withDescription("Deletes a schedule. Its runs stay."))

const pauseCommand = Cli.make("pause", { ...target, schedule }, ({ schedule, ...options }) =>
  schedulesCommands(({ pause }) => pause(options, schedule))
).pipe(Cli.withDescription("Lets a schedule start nothing until it is resumed."))

const resumeCommand = Cli.make("resume", { ...target, schedule }, ({ schedule, ...options }) =>
  schedulesCommands(({ resume }) => resume(options, schedule))
).pipe(Cli.withDescription("Lets a schedule go on from its next tick."))

const triggerCommand = Cli.make("trigger", { ...target, schedule }, ({ schedule, ...options }) =>
  schedulesCommands(({ trigger }) => trigger(options, schedule))
).pipe(Cli.withDescription("Starts a run of a schedule now, and prints its id."))

const backfillCommand = Cli.make(
  "backfill",
  {
    ...target,
    from: Options.text("from").pipe(
      Options.withPseudoName("time"),
      Options.withDescription("The ticks then or later, such as 2026-11-22")
    ),
    to: optionalText("to", "And earlier than then (now)"),
    schedule
  },
  ({ from, schedule, to, ...options }) =>
    schedulesCommands(({ backfill }) =>
      backfill(options, schedule, { from, to: Option.getOrUndefined(to) })
    )
).pipe(
  Cli.withDescription(
    "Starts the runs of a schedule's ticks in a range of the past, at most 1,000; those that have one keep it."
  )
)

export const schedulesCommand = Cli.make("schedules").pipe(
  Cli.withDescription(
    "What is started at certain times, on a running executor's API or straight on the database."
  ),
  Cli.withSubcommands([
    listCommand,
    showCommand,
    putCommand,
    deleteCommand,
    pauseCommand,
    resumeCommand,
    triggerCommand,
    backfillCommand
  ])
)
