/** The command `workflows`, with the commands under it. */
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { argument, calling, target } from "./Common.js"

const pausesCommands = <A>(
  use: (
    commands: typeof import("../PausesCommands.js")
  ) => import("effect/Effect").Effect<A, unknown>
) => calling(() => import("../PausesCommands.js"), use)

const workflow = argument("workflow", "The workflow's name")

const pausedCommand = Cli.make("paused", target, (options) =>
  pausesCommands(({ list }) => list(options))
).pipe(Cli.withDescription("Lists the workflows that are paused."))

const park = Options.boolean("park").pipe(
  Options.withDescription("Stop what has begun, too, where its next step would start")
)

const pauseCommand = Cli.make("pause", { ...target, park, workflow }, ({ workflow, ...options }) =>
  pausesCommands(({ pause }) => pause(options, workflow))
).pipe(
  Cli.withDescription(
    "Lets no run of a workflow begin, on any executor and also after a restart. The API asks for a token with the scope admin, as it does for resume."
  )
)

const resumeCommand = Cli.make("resume", { ...target, workflow }, ({ workflow, ...options }) =>
  pausesCommands(({ resume }) => resume(options, workflow))
).pipe(Cli.withDescription("Lets a workflow that was paused go on."))

export const workflowsCommand = Cli.make("workflows").pipe(
  Cli.withDescription("Pauses workflows, on an API or on a database, and lets them go on."),
  Cli.withSubcommands([pausedCommand, pauseCommand, resumeCommand])
)
