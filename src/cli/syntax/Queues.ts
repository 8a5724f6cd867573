/** The command `queues`, with the commands under it. */
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { argument, calling, integer, optionalDuration, target } from "./Common.js"

const queuesCommands = <A>(
  use: (
    commands: typeof import("../QueuesCommands.js")
  ) => import("effect/Effect").Effect<A, unknown>
) => calling(() => import("../QueuesCommands.js"), use)

const name = argument("queue", "The queue's name: its workflow's, unless it has one of its own")

const count = (option: string, description: string) =>
  integer(option, { min: 1, max: Number.MAX_SAFE_INTEGER, allowed: "1 or more" }).pipe(
    Options.withDescription(description),
    Options.optional
  )

const listCommand = Cli.make("list", target, (options) =>
  queuesCommands(({ list }) => list(options))
).pipe(Cli.withDescription("Lists the queues, with how many runs of each are under way and wait."))

const park = Options.boolean("park").pipe(
  Options.withDescription("Let what is under way stop at its next step, too")
)

const pauseCommand = Cli.make("pause", { ...target, park, name }, ({ name, ...options }) =>
  queuesCommands(({ pause }) => pause(options, name))
).pipe(Cli.withDescription("Lets nothing of a queue begin; what is under way goes on."))

const resumeCommand = Cli.make("resume", { ...target, name }, ({ name, ...options }) =>
  queuesCommands(({ resume }) => resume(options, name))
).pipe(Cli.withDescription("Lets a queue that was paused go on."))

const limitCommand = Cli.make(
  "limit",
  {
    ...target,
    concurrency: count("concurrency", "At most so many runs under way"),
    concurrencyPerKey: count("concurrency-per-key", "At most so many of a key"),
    rateLimit: count("rate-limit", "At most so many of a key begin within --rate-window"),
    rateWindow: optionalDuration("rate-window", "The window of --rate-limit"),
    keepSlot: Options.boolean("keep-slot").pipe(
      Options.withDescription("Count runs that wait for a signal, a timer or a child, too")
    ),
    reset: Options.boolean("reset").pipe(
      Options.withDescription("Go back to the limits in the code")
    ),
    name
  },
  ({ name, ...options }) => queuesCommands(({ limit }) => limit(options, name))
).pipe(
  Cli.withDescription(
    "Sets all limits of a queue in place of those in the code, for every executor and also after a restart. The API asks for a token with the scope admin, as it does for pause and resume."
  )
)

export const queuesCommand = Cli.make("queues").pipe(
  Cli.withDescription("Queues: how many of their runs are under way, on an API or on a database."),
  Cli.withSubcommands([listCommand, limitCommand, pauseCommand, resumeCommand])
)
