/**
 * What the engine's tests are made of: executors over a memory or file store whose time is the
 * test's, and waits that let things happen without time passing.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow, WorkflowEngine } from "@effect/workflow"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Executor from "../../src/Executor.js"
import type { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import { turn } from "../../src/internal/Turn.js"
import * as Runner from "../../src/runner/Runner.js"
import type { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"

// A step that a test has left in flight is cut at the test's end.
const defaults: Partial<RunnerConfig.RunnerOptions> = { stopTimeout: 0, leaseDuration: "1000 days" }

export const silent = Logger.replace(Logger.defaultLogger, Logger.none)

export const layerMemory = (options: Partial<RunnerConfig.RunnerOptions> = {}) =>
  Executor.layerTest({ ...defaults, ...options }).pipe(Layer.provideMerge(silent))

/** A test on an executor in memory. */
export const memoryTest = (
  name: string,
  body: () => Effect.Effect<
    void,
    unknown,
    Layer.Layer.Success<ReturnType<typeof layerMemory>> | Scope.Scope
  >,
  options: Partial<RunnerConfig.RunnerOptions> = {}
) =>
  it.effect(name, () =>
    Effect.scoped(Effect.suspend(body)).pipe(Effect.provide(layerMemory(options)))
  )

export const layerFile = (
  filename: string,
  options: Partial<RunnerConfig.RunnerOptions> & {
    readonly pollInterval?: Duration.DurationInput
  } = {}
) =>
  Runner.layer.pipe(
    Layer.provideMerge(Executor.layerEngine),
    Layer.provideMerge(
      SqliteRunStore.layerFile({
        filename,
        pollInterval: options.pollInterval ?? Duration.infinity
      })
    ),
    Layer.provideMerge(RunnerConfig.layer({ ...defaults, ...options })),
    Layer.provideMerge(silent)
  )

/** A process of its own, over a file: what it ends with is a drain. */
export const inProcess =
  <E, R>(
    filename: string,
    live: Layer.Layer<never, E, R>,
    options: Parameters<typeof layerFile>[1] = {}
  ) =>
  <A, E2, R2>(body: Effect.Effect<A, E2, R2>) =>
    Effect.gen(function* () {
      // what another process has built is not shared
      const memoMap = yield* Layer.makeMemoMap
      const layer = live.pipe(Layer.provideMerge(layerFile(filename, options)))
      const context = yield* Layer.buildWithMemoMap(layer, memoMap, yield* Effect.scope)
      return yield* Effect.provide(body, context)
    }).pipe(Effect.scoped)

/** A file of a folder of its own, which goes with the scope. */
export const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "engine-test-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.map((folder) => Path.join(folder, "executor.db")))

/** The file as a process that dies now would leave it. */
export const copyInto = (filename: string, copy: string) =>
  Effect.sync(() => {
    Fs.copyFileSync(filename, copy)
    if (Fs.existsSync(`${filename}-wal`)) Fs.copyFileSync(`${filename}-wal`, `${copy}-wal`)
    return copy
  })

export const copyOfFile = (filename: string) =>
  Effect.flatMap(temporaryFile, (copy) => copyInto(filename, copy))

/** Lets what is ready happen; no time passes. */
export const turns = (count = 50): Effect.Effect<void> => Effect.repeatN(turn, count)

/**
 * A turn, and now and then a moment more: Node computes the hash in a run's id on another thread,
 * which no clock of ours waits for.
 */
export const moment = (n: number): Effect.Effect<void> =>
  n % 100 === 99
    ? Effect.async<void>((resume) => {
        setTimeout(() => resume(Effect.void), 1)
      })
    : turn

/** Turns the event loop until it holds; none of the test's time passes. */
export const until = <E, R>(what: string, holds: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let n = 0; n < 20_000; n++) {
      if (yield* holds) return
      yield* moment(n)
    }
    return yield* Effect.dieMessage(`waited in vain: ${what}`)
  })

export const untilTrue = (what: string, holds: () => boolean) => until(what, Effect.sync(holds))

/** Lets time pass, and what it sets off happen. */
export const pass = (duration: Duration.DurationInput) =>
  Effect.zipRight(TestClock.adjust(duration), turns())

interface Pollable<A, E, R> {
  readonly name: string
  readonly poll: (runId: string) => Effect.Effect<Workflow.Result<A, E> | undefined, never, R>
}

export const untilSuspended = <A, E, R>(workflow: Pollable<A, E, R>, runId: string) =>
  until(
    `${workflow.name} suspends`,
    Effect.map(workflow.poll(runId), (result) => result?._tag === "Suspended")
  )

/** The run's exit, once it is over. */
export const exitOf = <A, E, R>(workflow: Pollable<A, E, R>, runId: string) =>
  Effect.gen(function* () {
    let exit: Exit.Exit<A, E> | undefined
    yield* until(
      `${workflow.name} ends`,
      Effect.map(workflow.poll(runId), (result) => {
        if (result?._tag === "Complete") exit = result.exit
        return exit !== undefined
      })
    )
    return exit ?? Exit.die("no exit")
  })

/** Registers workflows for the rest of the test. */
export const register = <E, R>(...layers: ReadonlyArray<Layer.Layer<never, E, R>>) =>
  Effect.forEach(layers, (layer) => Layer.build(layer), { discard: true })

let workflows = 0

/** A workflow of text, by its id. */
export const textWorkflow = (name = `Text${workflows++}`) =>
  Workflow.make({
    name,
    payload: { id: Schema.String },
    success: Schema.String,
    error: Schema.String,
    idempotencyKey: ({ id }) => id
  })

/** A step of text. */
export const step = <E extends string = never, R = never>(
  name: string,
  execute: Effect.Effect<string, E, R> = Effect.succeed(name)
) => Activity.make({ name, success: Schema.String, error: Schema.String, execute })

/** A step that notes each of its executions. */
export const noted = (log: Array<string>, name: string) =>
  step(
    name,
    Effect.sync(() => {
      log.push(name)
      return name
    })
  )

/** A step that notes its execution, and its being undone. */
export const undone = (log: Array<string>, name: string) =>
  noted(log, name).pipe(
    Workflow.withCompensation(() => Effect.sync(() => log.push(`undo ${name}`)))
  )

/** A signal of text. */
export const Gate = DurableDeferred.make("Gate", { success: Schema.String })

/** Sends it. */
export const open = (workflow: Workflow.Any, runId: string, value = "go") =>
  DurableDeferred.succeed(Gate, {
    token: DurableDeferred.tokenFromExecutionId(Gate, { workflow, executionId: runId }),
    value
  })

/** A sleep that is a timer, however short. */
export const longSleep = (name: string, duration: Duration.DurationInput) =>
  DurableClock.sleep({ name, duration, inMemoryThreshold: Duration.zero })

export const Instance = WorkflowEngine.WorkflowInstance

/** What workflow code may need. */
export type Env = WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance

const onFile = (options: Partial<RunnerConfig.RunnerOptions>) =>
  Layer.unwrapScoped(Effect.map(temporaryFile, (filename) => layerFile(filename, options)))

/** A test over each store, with runs that are kept in memory while they wait and with none. */
export const everywhere = (
  name: string,
  body: (options: {
    readonly keepsRuns: boolean
  }) => Effect.Effect<
    void,
    unknown,
    WorkflowEngine.WorkflowEngine | RunStore | Dispatcher | Scope.Scope
  >,
  options: Partial<RunnerConfig.RunnerOptions> = {}
): void => {
  for (const keepsRuns of [true, false]) {
    const all = keepsRuns ? options : { ...options, maxWarmRuns: 0 }
    const kept = keepsRuns ? "" : ", no run kept"
    const run = () => Effect.scoped(Effect.suspend(() => body({ keepsRuns })))
    it.effect(`${name} (memory${kept})`, () => Effect.provide(run(), layerMemory(all)))
    it.effect(`${name} (file${kept})`, () => Effect.provide(run(), onFile(all)))
  }
}
