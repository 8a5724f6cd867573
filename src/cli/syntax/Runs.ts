/** The command `runs`, with the commands under it. */
import * as Args from "@effect/cli/Args"
import * as Cli from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { included } from "../../api/RunView.js"
import { conflicts, type OnConflict, type StartOptions } from "../../api/StartOptions.js"
import { bulkRunsCommand } from "./Bulk.js"
import {
  argument,
  integer,
  moment,
  optionalDuration,
  optionalText,
  runsCommands,
  target
} from "./Common.js"
import { attributes, filterOf, filters, labelsOf, tags } from "./Filters.js"

const runId = argument("run", "The run's id; or 4 characters or more with which no other begins")

const listCommand = Cli.make(
  "list",
  {
    ...target,
    ...filters,
    limit: integer("limit", { min: 1, max: 200, allowed: "1 to 200" }).pipe(
      Options.withDescription("How many, 1 to 200 (50)"),
      Options.withDefault(50)
    ),
    include: Options.choice("include", included).pipe(
      Options.withDescription("What else --json tells of each run; may be repeated"),
      Options.repeated
    ),
    cursor: optionalText("cursor", "Go on where the page before has ended")
  },
  ({ cursor, include, limit, ...options }) =>
    runsCommands(({ list }) =>
      list(options, {
        limit,
        ...filterOf(options),
        ...(include.length === 0 ? {} : { include }),
        cursor: Option.getOrUndefined(cursor)
      })
    )
).pipe(Cli.withDescription("Lists runs, newest first."))

const showCommand = Cli.make(
  "show",
  {
    ...target,
    only: Options.choice("only", included).pipe(
      Options.withDescription("The whole of that alone, as JSON, however large"),
      Options.optional
    ),
    step: optionalText("step", "That step alone, as JSON, with the whole of what it came to"),
    attempt: integer("attempt", { min: 1, max: 1_000_000_000, allowed: "1 or more" }).pipe(
      Options.withDescription("With --step: which attempt of it (1)"),
      Options.withDefault(1)
    ),
    run: runId
  },
  ({ attempt, only, run, step, ...options }) =>
    runsCommands(({ show, showOnly, showStep }) => {
      if (Option.isSome(step)) return showStep(options, { runId: run, name: step.value, attempt })
      return Option.isSome(only) ? showOnly(options, run, only.value) : show(options, run)
    })
).pipe(
  Cli.withDescription(
    "Shows a run with its steps; of what is larger than 1 MiB how large it is. Exit code 4: there is no such run."
  )
)

const jsonArgument = (name: string, description: string) =>
  argument(name, description).pipe(Args.optional)

const startOptionsOf = (given: {
  readonly startAt: Option.Option<Date>
  readonly delay: Option.Option<Duration.Duration>
  readonly priority: Option.Option<number>
  readonly timeout: Option.Option<Duration.Duration>
  readonly tag: ReadonlyArray<string>
  readonly attribute: ReadonlyArray<string>
  readonly onConflict: Option.Option<OnConflict>
  readonly ignorePayload: boolean
}): StartOptions => ({
  startAt: Option.getOrUndefined(given.startAt),
  delay: Option.getOrUndefined(given.delay),
  priority: Option.getOrUndefined(given.priority),
  timeout: Option.getOrUndefined(given.timeout),
  onConflict: Option.getOrUndefined(given.onConflict),
  ...(given.ignorePayload ? { ignorePayload: true } : {}),
  ...labelsOf(given)
})

const startRunCommand = Cli.make(
  "start",
  {
    ...target,
    startAt: moment("start-at", "Begin it then, and not before"),
    delay: optionalDuration("delay", "Begin it so much later, and not before"),
    priority: Options.text("priority").pipe(
      Options.withPseudoName("integer"),
      Options.withDescription("Of the runs that wait for room, the smaller begin first (0)"),
      Options.map(Number),
      Options.optional
    ),
    timeout: optionalDuration("timeout", "How long it may take from its begin on"),
    tag: tags("Mark it with this tag; may be repeated"),
    attribute: attributes("Mark it with this attribute; may be repeated"),
    onConflict: Options.choice("on-conflict", conflicts).pipe(
      Options.withDescription(
        "Where there is a run of that id: use it (default), fail, or replace one that has not begun"
      ),
      Options.optional
    ),
    ignorePayload: Options.boolean("ignore-payload").pipe(
      Options.withDescription("Use the run that is there also where its payload is another")
    ),
    watch: Options.boolean("watch").pipe(
      Options.withDescription("Then follow it until it is over, as runs watch does")
    ),
    workflow: argument("workflow", "The workflow's name"),
    payload: jsonArgument("payload", "JSON object; - reads it from standard input ({})")
  },
  ({ payload, watch, workflow, ...options }) =>
    runsCommands(({ start }) =>
      start(options, { workflow, payload, watch, options: startOptionsOf(options) })
    )
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

const terminateCommand = Cli.make(
  "terminate",
  {
    ...target,
    reason: optionalText("reason", "Why, to be read with the run; at most 1,000 characters"),
    children: Options.boolean("children").pipe(
      Options.withDescription("Also the runs that it started, and those that these did")
    ),
    run: runId
  },
  ({ run, ...options }) => runsCommands(({ terminate }) => terminate(options, run))
).pipe(
  Cli.withDescription(
    "Ends a run at once, whoever holds it, without compensations: one that would never end. It cannot be retried."
  )
)

const resumeCommand = Cli.make("resume", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ resume }) => resume(options, run))
).pipe(Cli.withDescription("Wakes a suspended run."))

const signalCommand = Cli.make(
  "signal",
  {
    ...target,
    run: runId,
    name: argument("name", "The DurableDeferred's name"),
    value: jsonArgument("value", "JSON; - reads it from standard input (null)")
  },
  ({ name, run, value, ...options }) =>
    runsCommands(({ signal }) => signal(options, { runId: run, name, value }))
).pipe(
  Cli.withDescription(
    "Completes a run's DurableDeferred. An executor checks the value by the schema; on a file nobody does."
  )
)

const retryCommand = Cli.make(
  "retry",
  {
    ...target,
    withChildren: Options.boolean("with-children", {
      ifPresent: true,
      negationNames: ["without-children"]
    }).pipe(
      Options.withDescription(
        "Also the children by whose failure it would fail again (true); without, it is refused then"
      ),
      Options.withDefault(true)
    ),
    run: runId
  },
  ({ run, withChildren, ...options }) =>
    runsCommands(({ retry }) => retry(options, run, { withChildren }))
).pipe(
  Cli.withDescription(
    "Lets a run that failed or was interrupted go on from the step that failed. Recorded steps stay."
  )
)

const deleteCommand = Cli.make("delete", { ...target, run: runId }, ({ run, ...options }) =>
  runsCommands(({ remove }) => remove(options, run))
).pipe(Cli.withDescription("Deletes a run that is over, with all that is recorded of it."))

const countsCommand = Cli.make("counts", { ...target, ...filters }, (options) =>
  runsCommands(({ counts }) => counts(options, filterOf(options)))
).pipe(
  Cli.withDescription(
    "Tells how many runs there are in each status; of a filter, it looks at each of them."
  )
)

export const runsCommand = Cli.make("runs").pipe(
  Cli.withDescription("Runs, on a running executor's API or straight on the database file."),
  Cli.withSubcommands([
    listCommand,
    showCommand,
    startRunCommand,
    watchCommand,
    interruptCommand,
    terminateCommand,
    resumeCommand,
    retryCommand,
    deleteCommand,
    bulkRunsCommand,
    countsCommand,
    signalCommand
  ])
)
