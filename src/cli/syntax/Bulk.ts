/** The commands of operations on many runs: `runs bulk`, and `bulk` with those under it. */
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { bulkActions } from "../../api/Bulk.js"
import { calling, optionalText, target } from "./Common.js"
import { filterOf, filters } from "./Filters.js"

const bulkCommands = <A>(
  use: (commands: typeof import("../BulkCommands.js")) => Effect.Effect<A, unknown>
) => calling(() => import("../BulkCommands.js"), use)

export const bulkRunsCommand = Cli.make(
  "bulk",
  {
    ...target,
    ...filters,
    all: Options.boolean("all").pipe(
      Options.withDescription("All runs are meant, where no filter is given")
    ),
    preview: Options.boolean("preview").pipe(
      Options.withDescription("Only tell how many runs there are of the filter")
    ),
    yes: Options.boolean("yes").pipe(
      Options.withDescription("Do it; without, it only tells what it would do")
    ),
    wait: Options.boolean("wait").pipe(
      Options.withDescription("Wait until it is over, and tell how far it is")
    ),
    reason: optionalText("reason", "Of terminate: why, at most 1,000 characters"),
    children: Options.boolean("children").pipe(
      Options.withDescription("Of terminate: also the runs that they started")
    ),
    noChildren: Options.boolean("without-children").pipe(
      Options.withDescription("Of retry: refuse those that would fail again by a child")
    ),
    action: Args.choice(
      bulkActions.map((action) => [action, action] as const),
      { name: "action" }
    ).pipe(Args.withDescription("What is done with each of them"))
  },
  ({ action, all, children, noChildren, reason, ...options }) =>
    bulkCommands(({ bulk }) =>
      bulk(options, {
        action,
        filter: filterOf(options),
        ...(all ? { all } : {}),
        ...(children ? { children } : {}),
        ...(noChildren ? { withChildren: false } : {}),
        reason: Option.getOrUndefined(reason)
      })
    )
).pipe(
  Cli.withDescription(
    "Does something with all runs of a filter, which are those of runs list: retry, interrupt, terminate, resume, delete. Executors go through them. The API asks for a token with the scope admin."
  )
)

const id = Args.integer({ name: "id" }).pipe(Args.withDescription("The operation's id"))

const listCommand = Cli.make("list", target, (options) =>
  bulkCommands(({ list }) => list(options))
).pipe(Cli.withDescription("Lists the newest operations on many runs, with how far they are."))

const showCommand = Cli.make("show", { ...target, id }, ({ id, ...options }) =>
  bulkCommands(({ show }) => show(options, id))
).pipe(Cli.withDescription("Tells how far an operation is, and why runs were refused."))

const cancelCommand = Cli.make("cancel", { ...target, id }, ({ id, ...options }) =>
  bulkCommands(({ cancel }) => cancel(options, id))
).pipe(Cli.withDescription("Ends an operation where it is; what was done stays."))

export const bulkCommand = Cli.make("bulk").pipe(
  Cli.withDescription(
    "Operations on many runs, which runs bulk has begun, on an API or on a database."
  ),
  Cli.withSubcommands([listCommand, showCommand, cancelCommand])
)
