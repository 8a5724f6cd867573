/**
 * `workflow-executor runs ...`: what each answers.
 */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { BulkFilter } from "../api/Bulk.js"
import type { StartOptions } from "../api/StartOptions.js"
import * as StepPages from "../api/StepPages.js"
import type {
  ExecutorView,
  Included,
  ListRequest,
  OutcomeView,
  PayloadView,
  RetryOptions,
  RunWithStepsView,
  StepRequest,
  StepView
} from "../runner/Runs.js"
import { CommandEnded, exitCodes, UsageError } from "./Failures.js"
import * as Output from "./Output.js"
import * as RunChanges from "./RunChanges.js"
import * as RunText from "./RunText.js"
import * as ShortIds from "./ShortIds.js"
import * as Table from "./Table.js"
import { Target, type TargetError, type TargetOptions } from "./Target.js"

export interface Options extends TargetOptions {
  readonly json: boolean
}

/** The API, or with `--database` or `--database-url` that itself; only what it needs is loaded. */
const layerTarget = (options: Options, patient: boolean): Layer.Layer<Target, unknown> =>
  Layer.unwrapEffect(
    Option.isNone(options.database) && Option.isNone(options.databaseUrl)
      ? layerApi(options, patient)
      : layerDatabase(options)
  )

type LayerTarget = Effect.Effect<Layer.Layer<Target, unknown>, UsageError>

const layerApi = (options: Options, patient: boolean): LayerTarget =>
  Effect.map(
    Effect.promise(() => import("./OnApi.js")),
    (OnApi) => OnApi.layer({ ...options, patient })
  )

const layerDatabase = (options: Options): Effect.Effect<Layer.Layer<Target, unknown>, unknown> =>
  Option.isSome(options.url) || Option.isSome(options.token)
    ? new UsageError({
        message:
          "--database and --database-url work on the database itself: leave out --url and --token"
      })
    : Effect.gen(function* () {
        const [Database, OnFile] = yield* Effect.promise(() =>
          Promise.all([import("./Database.js"), import("./OnFile.js")])
        )
        return OnFile.layer(yield* Database.read(options))
      })

/** Does it on what the options say. */
export const on =
  (options: Options, { patient = false }: { readonly patient?: boolean } = {}) =>
  <A, E>(use: (target: Target["Type"]) => Effect.Effect<A, E>) =>
    Effect.flatMap(Target, use).pipe(Effect.provide(layerTarget(options, patient)))

// ---------------------------------------------------------------------------------------------
// Looking
// ---------------------------------------------------------------------------------------------

export const list = (options: Options, request: ListRequest) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const parent =
        request.parent === undefined ? undefined : yield* ShortIds.whole(target, request.parent)
      const page = yield* target.list({ ...request, parent })
      if (options.json) return yield* Output.json(page)
      yield* Output.table(
        ["RUN", "WORKFLOW", "STATUS", "CREATED", "TOOK", "ERROR"],
        page.runs.map(RunText.rowOfRun),
        { lastBelow: true }
      )
      if (page.nextCursor !== null) {
        yield* Output.aside(`There are more: --cursor ${page.nextCursor}`)
      }
    })
  )

export const counts = (options: Options, filter: BulkFilter) =>
  on(options)((target) =>
    Effect.flatMap(target.countBy(filter), (counts) =>
      options.json
        ? Output.json(counts)
        : Output.table(
            ["STATUS", "RUNS"],
            Object.entries(counts).map(([status, runs]) => [status, String(runs)])
          )
    )
  )

const leaseOf = ({ leaseUntil }: ExecutorView, now: number) => {
  const left = leaseUntil === null ? 0 : Date.parse(leaseUntil) - now
  return left > 0 ? `${Table.duration(left)} left` : "lapsed"
}

export const executors = (options: Options) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const executors = yield* target.executors
      if (options.json) return yield* Output.json({ executors })
      const now = yield* Clock.currentTimeMillis
      yield* Output.table(
        ["ID", "HOST", "PID", "VERSION", "STATE", "RUNS", "STARTED", "LEASE"],
        executors.map((executor) => [
          String(executor.id),
          executor.host,
          String(executor.pid),
          executor.version ?? "-",
          executor.alive ? executor.state : "dead",
          String(executor.runs),
          Table.time(executor.startedAt),
          leaseOf(executor, now)
        ])
      )
    })
  )

/** Calls `use` for each page of the steps that have not come with the run. */
const otherSteps = <E>(
  target: Target["Type"],
  { runId, stepsCursor }: RunWithStepsView,
  use: (steps: ReadonlyArray<StepView>) => Effect.Effect<void, E>
): Effect.Effect<void, TargetError | E> =>
  StepPages.forEach(stepsCursor, (cursor) => target.steps({ runId, cursor }), use)

const stepTable = (steps: ReadonlyArray<StepView>, { goesOn = false } = {}) =>
  Output.table(
    ["STEP", "ATTEMPT", "STATUS", "STARTED", "TOOK", "EXECUTOR", "RESULT"],
    steps.map(RunText.rowOfStep),
    { lastBelow: true, goesOn }
  )

/** One document, on several lines where its steps come in pages: none of these is kept. */
const showJson = (target: Target["Type"], run: RunWithStepsView) => {
  const { stepsCursor, steps, ...rest } = run
  if (stepsCursor === undefined) return Output.json(run)
  const listed = (steps: ReadonlyArray<StepView>) =>
    steps.map((step) => JSON.stringify(step)).join(",")
  return Effect.gen(function* () {
    yield* Output.line(`${JSON.stringify(rest).slice(0, -1)},"steps":[${listed(steps)}`)
    yield* otherSteps(target, run, (more) =>
      more.length === 0 ? Effect.void : Output.line(`,${listed(more)}`)
    )
    yield* Output.line("]}")
  })
}

const showStack = (stack: string) =>
  Effect.gen(function* () {
    yield* Output.line("")
    for (const line of stack.split("\n")) {
      const [indent = ""] = /^ */.exec(line) ?? []
      yield* Output.line(indent + Table.plain(line))
    }
  })

export const show = (options: Options, runId: string) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const run = yield* ShortIds.named(target, runId, target.get)
      if (options.json) return yield* showJson(target, run)
      for (const [name, value] of RunText.fieldsOfRun(run)) {
        yield* Output.line(`${name.padEnd(9)}  ${Table.plain(value ?? "")}`)
      }
      if (run.steps.length > 0) {
        yield* Output.line("")
        yield* stepTable(run.steps)
        yield* otherSteps(target, run, (steps) =>
          steps.length === 0 ? Effect.void : stepTable(steps, { goesOn: true })
        )
      }
      if (run.stack !== undefined) yield* showStack(run.stack)
    })
  )

/** Of what is too large to be shown with others. */
export const showOnly = (options: Options, runId: string, what: Included) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const ask = what === "payload" ? target.payload : target.outcome
      yield* Output.json(
        yield* ShortIds.named<PayloadView | OutcomeView, TargetError>(target, runId, ask)
      )
    })
  )

export const showStep = (options: Options, { runId, ...step }: StepRequest) =>
  on(options)((target) =>
    Effect.flatMap(
      ShortIds.named(target, runId, (runId) => target.step({ ...step, runId })),
      Output.json
    )
  )

// ---------------------------------------------------------------------------------------------
// Watching
// ---------------------------------------------------------------------------------------------

/** Tells what happens until the run is over, and ends as the run did. */
const follow = (
  target: Target["Type"],
  runId: string,
  json: boolean
): Effect.Effect<void, TargetError | CommandEnded> => {
  const looks = RunChanges.make()
  let status: RunWithStepsView["status"] | undefined
  const tell = (events: ReadonlyArray<RunChanges.RunEvent>) =>
    Effect.forEach(
      events,
      (event) =>
        json
          ? Output.json(event)
          : Output.line(`${event.at.slice(11, 19)}  ${RunText.describeEvent(event)}`),
      { discard: true }
    )
  const look = (run: RunWithStepsView) =>
    Effect.gen(function* () {
      const now = new Date(yield* Clock.currentTimeMillis).toISOString()
      const { after, before } = looks.look(run, now)
      yield* tell(before)
      yield* otherSteps(target, run, (steps) => tell(looks.steps(steps)))
      yield* tell(after)
      status = run.status
    })
  return Stream.runForEach(target.watch(runId), look).pipe(
    Effect.zipRight(
      Effect.suspend(() =>
        status === "completed" ? Effect.void : new CommandEnded({ exitCode: exitCodes.runFailed })
      )
    ),
    // of an interrupted fiber only defects are seen
    Effect.onInterrupt(() => Effect.die(new CommandEnded({ exitCode: exitCodes.interrupted })))
  )
}

export const watch = (options: Options, runId: string) =>
  on(options, { patient: true })((target) =>
    ShortIds.named(target, runId, (runId) => follow(target, runId, options.json))
  )

// ---------------------------------------------------------------------------------------------
// Doing
// ---------------------------------------------------------------------------------------------

const readStandardInput = Effect.tryPromise({
  try: async () => {
    const chunks: Array<Buffer> = []
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks).toString("utf8")
  },
  catch: (cause) => new UsageError({ message: `Standard input cannot be read: ${cause}` })
})

/** `-` is what comes on standard input. */
const parseJson = (what: string, argument: string) =>
  Effect.flatMap(argument === "-" ? readStandardInput : Effect.succeed(argument), (text) =>
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () =>
        new UsageError({
          message: `The ${what} is not JSON: ${text.slice(0, 80)} (a text has quotes of its own: '"text"')`
        })
    })
  )

/** An empty object where none was given. */
export const parsePayload = (
  given: Option.Option<string>
): Effect.Effect<Readonly<Record<string, unknown>>, UsageError> =>
  Effect.gen(function* () {
    const payload = Option.isNone(given) ? {} : yield* parseJson("payload", given.value)
    return Predicate.isReadonlyRecord(payload) && !Array.isArray(payload)
      ? payload
      : yield* new UsageError({ message: "The payload is not a JSON object" })
  })

export const start = (
  options: Options,
  request: {
    readonly workflow: string
    readonly payload: Option.Option<string>
    readonly options: StartOptions
    readonly watch: boolean
  }
) =>
  Effect.gen(function* () {
    const payload = yield* parsePayload(request.payload)
    yield* on(options, { patient: request.watch })((target) =>
      Effect.gen(function* () {
        const started = yield* target.start(request.workflow, payload, request.options)
        const { runId } = started
        yield* options.json ? Output.json(started) : Output.line(runId)
        if (!options.json && !started.created) yield* Output.aside(RunText.describeFound(started))
        if (request.watch) yield* follow(target, runId, options.json)
      })
    )
  })

/** Does it with a run, and says so. */
const doing = <A>(
  options: Options,
  runId: string,
  act: (target: Target["Type"], runId: string) => Effect.Effect<A, TargetError>,
  said: string | ((answer: A) => string)
) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const { answer, id } = yield* ShortIds.named(target, runId, (id) =>
        Effect.map(act(target, id), (answer) => ({ id, answer }))
      )
      yield* options.json
        ? Output.json({ runId: id, ...(Predicate.isReadonlyRecord(answer) ? answer : {}) })
        : Output.line(typeof said === "string" ? said : said(answer))
    })
  )

export const interrupt = (options: Options, runId: string) =>
  doing(
    options,
    runId,
    (target, runId) => target.interrupt(runId),
    "asked for the interrupt; a run that is over stays as it is"
  )

export const terminate = (
  options: Options & { readonly children: boolean; readonly reason: Option.Option<string> },
  runId: string
) =>
  doing(
    options,
    runId,
    (target, runId) =>
      target.terminate({
        runId,
        reason: Option.getOrUndefined(options.reason),
        children: options.children
      }),
    ({ terminated }) =>
      terminated === 1 ? "terminated" : `terminated: ${terminated} runs with those it started`
  )

export const resume = (options: Options, runId: string) =>
  doing(options, runId, (target, runId) => target.resume(runId), "woken, if it was suspended")

export const retry = (options: Options, runId: string, retry: RetryOptions) =>
  doing(
    options,
    runId,
    (target, runId) => target.retry(runId, retry),
    "goes on from where it failed"
  )

export const remove = (options: Options, runId: string) =>
  doing(options, runId, (target, runId) => target.remove(runId), "deleted")

export const signal = (
  options: Options,
  request: { readonly runId: string; readonly name: string; readonly value: Option.Option<string> }
) =>
  Effect.gen(function* () {
    const { name, runId } = request
    const value = Option.isNone(request.value)
      ? null
      : yield* parseJson("value", request.value.value)
    yield* doing(
      options,
      runId,
      (target, runId) => target.signal({ runId, name, value }),
      "signalled; the first value of a name stays"
    )
  })
