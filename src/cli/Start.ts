/**
 * `workflow-executor start`: one executor, from the module it is given until a signal.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Executor from "../Executor.js"
import * as Access from "../http/Access.js"
import * as StopSignals from "../internal/StopSignals.js"
import { within } from "../internal/Within.js"
import { Runner } from "../runner/Runner.js"
import * as Shutdown from "../runner/Shutdown.js"
import * as Settings from "../Settings.js"
import * as OtlpSettings from "../telemetry/OtlpSettings.js"
import * as DrainProgress from "./DrainProgress.js"
import * as ExampleFile from "./ExampleFile.js"
import * as Failures from "./Failures.js"
import * as Telemetry from "./Telemetry.js"
import { type Variables, withVariables } from "./Variables.js"
import * as WorkflowModule from "./WorkflowModule.js"

export interface Options {
  /** The module of workflows; without one the bundled example. */
  readonly module: Option.Option<string>
  /** What stands in for variables of the environment, by their names. */
  readonly variables: Variables
}

/** Something went wrong, and has been logged: the process's exit code is to be 1. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly cause: Cause.Cause<unknown>
}> {}

/** Runs an executor until it is interrupted, by a signal or a request (`POST /drain`). */
export const start = (options: Options): Effect.Effect<never, StartFailed> =>
  Effect.gen(function* () {
    const log = Settings.layerLog(yield* Settings.logAsReadable)
    return yield* serve(options).pipe(
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause) || isLogged(cause)
          ? Effect.failCause(Cause.stripFailures(cause))
          : Effect.zipRight(Failures.logFatal(cause), new StartFailed({ cause }))
      ),
      Effect.provide(log)
    )
  }).pipe(withVariables(options.variables))

const isLogged = (cause: Cause.Cause<unknown>) =>
  Chunk.some(Cause.defects(cause), (defect) => defect instanceof StartFailed)

const serve = (options: Options): Effect.Effect<never, unknown> =>
  Effect.gen(function* () {
    // first all that can be wrong before anything is opened
    const [{ database, log, runner }, otlp] = yield* Settings.together(
      Settings.read,
      OtlpSettings.read
    )
    if (Option.isNone(options.module)) yield* ExampleFile.assertFree(database)
    const telemetry = yield* Telemetry.load(otlp)
    const workflows = yield* WorkflowModule.load(Option.getOrUndefined(options.module))
    yield* surviveReaders
    yield* tellOfSignals
    const thrown = yield* uncaught
    const asked = yield* Deferred.make<never>()
    if (Option.isNone(options.module)) {
      yield* Effect.logInfo(
        "no module was given: this is the bundled example; workflow-executor start workflows.ts starts yours"
      ).pipe(Effect.annotateLogs({ module: WorkflowModule.bundledExample }))
    }
    yield* Effect.logInfo("executor starting").pipe(Effect.annotateLogs({ pid: process.pid }))
    // a module has no say in it
    const http = { access: Access.layerByScope }
    const executor = Executor.layerConfig({ workflows, http }).pipe(
      Layer.tap((context) =>
        log.format === "pretty" && process.stderr.isTTY
          ? // it is to outlive what it was started with: the drain comes when that is closed
            Effect.forkDaemon(DrainProgress.report(Context.get(context, Runner), runner))
          : Effect.void
      ),
      // what a signal does to the fiber of this process
      Layer.provide(Shutdown.layer(Deferred.interrupt(asked))),
      Layer.provide(telemetry)
    )
    return yield* untilInterrupted(Layer.launch(executor), {
      orElse: Effect.raceFirst(thrown, Deferred.await(asked)),
      bound: Duration.sum(runner.stopTimeout, patience)
    })
  })

/**
 * What a stop takes besides the drain: all bounds together, and some more. Whatever has not let
 * itself be released by then, or acquired, is left to the end of the process.
 */
export const patience = Duration.seconds(45)

/** Interrupts the effect when the caller is interrupted or the other ends, in bounded time. */
const untilInterrupted = <E, E2>(
  effect: Effect.Effect<never, E>,
  options: { readonly orElse: Effect.Effect<never, E2>; readonly bound: Duration.Duration }
): Effect.Effect<never, E | E2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDaemon(restore(effect))
      const ended = yield* Effect.exit(restore(Effect.raceFirst(Fiber.join(fiber), options.orElse)))
      if (Option.isSome(yield* fiber.poll)) return yield* ended
      const stopped = yield* Fiber.interrupt(fiber).pipe(
        within(options.bound),
        // a first signal after a request to stop is to change nothing
        Effect.forkDaemon,
        Effect.flatMap(Fiber.join)
      )
      const last = Option.getOrElse(stopped, () =>
        Exit.die(new Error(`not stopped within ${Duration.format(options.bound)}`))
      )
      if (Exit.isSuccess(last) || Cause.isInterruptedOnly(last.cause)) return yield* ended
      // here, because nobody else comes to it: the caller is interrupted
      yield* Failures.logFatal(last.cause)
      // of an interrupted fiber only defects are seen
      return yield* Effect.die(new StartFailed({ cause: last.cause }))
    })
  )

/**
 * Fails once something is thrown where no fiber catches it: by a listener, or a promise that nobody
 * awaits. The executor is drained then, rather than that its runs wait for the lease to lapse.
 */
const uncaught = Effect.gen(function* () {
  const thrown = yield* Deferred.make<never, unknown>()
  const runFork = Runtime.runFork(yield* Effect.runtime())
  process.on("uncaughtException", (cause) =>
    runFork(
      Effect.zipRight(
        Effect.logError("thrown outside of Effect; the executor stops", Cause.die(cause)),
        Deferred.fail(thrown, cause)
      )
    )
  )
  return Deferred.await(thrown)
})

/** It is `RunMain` that a signal interrupts; here it is only told. */
const tellOfSignals = Effect.gen(function* () {
  const runFork = Runtime.runFork(yield* Effect.runtime())
  StopSignals.listen((signal) => runFork(StopSignals.log(signal)))
})

/** Whoever reads the log may go away (`| head`); runs are worth more than lines nobody reads. */
const surviveReaders = Effect.sync(() => {
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {})
})
