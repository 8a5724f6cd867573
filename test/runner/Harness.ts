/**
 * Executors side by side in one process: each has its own engine and Runner; they share a store in
 * memory, or a file over which each has a store of its own. All time is TestClock's.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { describe, expect, it } from "@effect/vitest"
import { Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type * as TestServices from "effect/TestServices"
import type { RunnerState } from "../../src/api/RunnerState.js"
import * as Executor from "../../src/Executor.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Runner from "../../src/runner/Runner.js"
import { type Run, RunStore, type Step } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"

export type Store = RunStore["Type"]

/** What every executor provides. */
export type Services =
  | WorkflowEngine.WorkflowEngine
  | Runner.Runner
  | Dispatcher
  | RunStore
  | RunnerConfig.RunnerConfig

/** Workflows as an app gives them. */
export type Workflows = Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>

export interface Stack {
  readonly context: Context.Context<Services>
  readonly store: Store
  readonly runner: Runner.Runner["Type"]
  readonly dispatcher: Dispatcher["Type"]
  readonly state: Effect.Effect<RunnerState>
  readonly close: Effect.Effect<Exit.Exit<void, unknown>>
  /** Runs workflow calls against this executor's engine. */
  readonly run: <A, E>(
    effect: Effect.Effect<A, E, WorkflowEngine.WorkflowEngine>
  ) => Effect.Effect<A, E>
}

export interface StartOptions extends Partial<RunnerConfig.RunnerOptions> {
  readonly workflows?: Workflows
  /** Stands between the executor and its store. */
  readonly wrap?: (store: Store) => Store
  /** Builds the executor in another order than usual. */
  readonly compose?: (parts: Parts) => Layer.Layer<Services, unknown>
}

export interface Parts {
  readonly workflows: Workflows
  readonly engine: typeof Executor.layerEngine
  readonly runner: typeof Runner.layer
  readonly base: Layer.Layer<RunStore | RunnerConfig.RunnerConfig>
}

/** The Runner above all: what users are told to do. */
const runnerLast = ({ base, engine, runner, workflows }: Parts) =>
  runner.pipe(
    Layer.provideMerge(workflows.pipe(Layer.provideMerge(engine))),
    Layer.provideMerge(base)
  )

/** The Runner below the workflows: they are released first. */
export const runnerBelow = ({ base, engine, runner, workflows }: Parts) =>
  workflows.pipe(Layer.provideMerge(runner), Layer.provideMerge(engine), Layer.provideMerge(base))

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly annotations: Record<string, unknown>
}

export interface World {
  readonly kind: Kind
  /** A store for one executor; over the same rows as all others of this world. */
  readonly openStore: Effect.Effect<Store, never, Scope.Scope>
  readonly start: (options: StartOptions) => Effect.Effect<Stack>
  /** A statement of somebody else's on the database; for a file only. */
  readonly sql: <A, E>(
    statement: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>
  ) => Effect.Effect<A>
  /** Looks at the rows from outside every executor. */
  readonly outside: Store
  readonly logs: Array<LogLine>
  readonly logged: (part: string) => ReadonlyArray<LogLine>
}

/** Seldom: a TestClock goes through every poll on its way. */
const pollMillis = 500

const kinds = ["memory", "file"] as const
export type Kind = (typeof kinds)[number]

const build = <R, E>(layer: Layer.Layer<R, E>) =>
  Effect.flatMap(Effect.scope, (scope) => Layer.buildWithScope(layer, scope))

const makeWorld = (kind: Kind) =>
  Effect.gen(function* () {
    const logs: Array<LogLine> = []
    const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
      const parts = (Array.isArray(message) ? message : [message]).map((part) =>
        part instanceof Error
          ? part.message
          : typeof part === "string"
            ? part
            : JSON.stringify(part)
      )
      if (!Cause.isEmpty(cause)) parts.push(Cause.pretty(cause))
      logs.push({
        level: logLevel.label,
        message: parts.join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      })
    })
    const logging = Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Logger.minimumLogLevel(LogLevel.Debug)
    )

    const folder = Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "runner-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const filename = kind === "file" ? join(yield* folder, "executor.db") : ":memory:"
    const storeLayer = Layer.orDie(
      kind === "file"
        ? SqliteRunStore.layerFile({ filename, pollInterval: Duration.millis(pollMillis) })
        : SqliteRunStore.layerMemory
    )
    const sql: World["sql"] = (statement) =>
      Effect.flatMap(SqliteClient.make({ filename }), statement).pipe(
        Effect.provide(Reactivity.layer),
        Effect.scoped,
        Effect.orDie
      )
    const outside = Context.get(yield* build(storeLayer), RunStore)
    const openStore =
      kind === "memory"
        ? Effect.succeed(outside)
        : Effect.map(build(storeLayer), (context) => Context.get(context, RunStore))

    const start = (options: StartOptions) =>
      Effect.gen(function* () {
        const { compose = runnerLast, workflows = Layer.empty, wrap, ...config } = options
        const scope = yield* Scope.make()
        const base = Layer.mergeAll(
          Layer.scoped(RunStore, Effect.map(openStore, wrap ?? ((store) => store))),
          RunnerConfig.layer(config)
        )
        const layer = compose({
          workflows,
          engine: Executor.layerEngine,
          runner: Runner.layer,
          base
        })
        // as `Layer.launch` does
        const context = yield* Layer.build(Layer.provideMerge(layer, logging)).pipe(
          Scope.extend(scope),
          Effect.tapErrorCause((cause) => Scope.close(scope, Exit.failCause(cause))),
          Effect.orDie
        )
        const runner = Context.get(context, Runner.Runner)
        const close = yield* Effect.cached(Effect.exit(Scope.close(scope, Exit.void)))
        const stack: Stack = {
          context,
          runner,
          store: Context.get(context, RunStore),
          dispatcher: Context.get(context, Dispatcher),
          state: runner.state,
          close: Effect.provide(close, logging),
          run: (effect) => Effect.provide(effect, context)
        }
        stacks.push(stack)
        return stack
      })
    const stacks: Array<Stack> = []

    const world: World = {
      kind,
      sql,
      openStore,
      start,
      outside,
      logs,
      logged: (part) =>
        logs.filter(
          ({ annotations, message }) =>
            message.includes(part) || JSON.stringify(annotations).includes(part)
        )
    }
    return world
  })

/** One test for each kind of store. */
export const worlds = (name: string, tests: (test: WorldTest, kind: Kind) => void) => {
  for (const kind of kinds) {
    describe(`${name} (${kind})`, () => {
      tests(
        (sentence, body) =>
          it.scoped(sentence, () =>
            Effect.provide(
              Effect.flatMap(makeWorld(kind), body),
              Logger.minimumLogLevel(LogLevel.None)
            )
          ),
        kind
      )
    })
  }
}

export type WorldTest = (
  sentence: string,
  body: (world: World) => Effect.Effect<void, unknown, TestServices.TestServices | Scope.Scope>
) => void

/**
 * How long a test waits for what has to happen, on the machine's own clock: not everything ends in
 * so many turns of the event loop (a digest comes from another thread).
 */
const patienceMillis = 15_000

/** One turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Long enough for anything that needs no time to have happened. */
export const settled = Effect.repeatN(turn, 60)

/**
 * Waits, turn by turn of the event loop and without any time passing on the clock, until it holds.
 */
export const until = (
  what: string,
  holds: () => boolean | Effect.Effect<boolean, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const giveUpAt = performance.now() + patienceMillis
    while (performance.now() < giveUpAt) {
      const answer = holds()
      if (typeof answer === "boolean" ? answer : yield* answer) return
      yield* turn
    }
    return yield* Effect.dieMessage(`did not happen: ${what}`)
  })

/** As `until`, with time going by as other processes' commits need to be noticed. */
export const untilPolled = (
  what: string,
  holds: () => boolean | Effect.Effect<boolean, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const giveUpAt = performance.now() + patienceMillis
    while (performance.now() < giveUpAt) {
      for (let turns = 0; turns < 20; turns++) {
        const answer = holds()
        if (typeof answer === "boolean" ? answer : yield* answer) return
        yield* turn
      }
      yield* TestClock.adjust(Duration.millis(pollMillis))
    }
    return yield* Effect.dieMessage(`did not happen: ${what}`)
  })

/** Where a step, a finalizer or a write can be held until the test lets it go. */
export interface Gate {
  /** How often somebody has come here. */
  count: number
  readonly pass: Effect.Effect<void>
  readonly entered: Effect.Effect<void>
  readonly open: Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

export const gate = (isOpen = false): Gate => {
  const exit = Effect.unsafeMakeLatch(isOpen)
  const self: Gate = {
    count: 0,
    pass: Effect.suspend(() => {
      self.count++
      return exit.await
    }),
    entered: Effect.orDie(until("somebody comes to the gate", () => self.count > 0)),
    open: Effect.asVoid(exit.open),
    close: Effect.asVoid(exit.close)
  }
  return self
}

/** What happened, in order. */
export const journal = () => {
  const lines: Array<string> = []
  return {
    lines,
    note: (line: string) =>
      Effect.sync(() => {
        lines.push(line)
      })
  }
}

export const found = (store: Store, runId: string): Effect.Effect<Run> =>
  Effect.orDie(store.find(runId)).pipe(
    Effect.map(
      Option.getOrElse(() => {
        throw new Error(`no run ${runId}`)
      })
    )
  )

export const statusOf = (store: Store, runId: string) =>
  Effect.map(found(store, runId), ({ status }) => status)

export const stepsOf = (store: Store, runId: string): Effect.Effect<ReadonlyArray<Step>> =>
  Effect.orDie(store.findWithSteps(runId)).pipe(
    Effect.map((found) => Option.getOrThrow(found).steps)
  )

export const untilStatus = (world: World, runId: string, status: Run["status"]) =>
  until(`run ${runId} becomes ${status}`, () =>
    Effect.map(
      Effect.orDie(world.outside.find(runId)),
      (run) => Option.isSome(run) && run.value.status === status
    )
  ).pipe(
    Effect.catchAllCause(() =>
      Effect.flatMap(found(world.outside, runId), (run) =>
        Effect.dieMessage(`run ${runId} is ${run.status}, not ${status}; cause ${run.cause}`)
      )
    )
  )

export { expect, it }

/** A run of one workflow, for tests in which there is no other. */
export const One = Workflow.make({
  name: "One",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

export const start = One.execute({ id: "1" }, { discard: true })

/** An executor whose renewals can be held, as those of a process that is frozen. */
export const freezable = () => {
  const renewals = gate(true)
  return {
    freeze: renewals.close,
    thaw: renewals.open,
    wrap: (store: Store): Store => ({
      ...store,
      renew: (executor, lease) => Effect.zipRight(renewals.pass, store.renew(executor, lease))
    })
  }
}
