/**
 * Runs a program on a file, under the test's time, until it is over, whatever happens to the
 * processes that execute it; and says what is wrong with what came of it.
 */
import { DurableDeferred, type WorkflowEngine } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { RunStore } from "../../../src/store/RunStore.js"
import { copyInto, inProcess, type layerFile, moment, temporaryFile } from "../support.js"
import * as Live from "./Live.js"
import type { Expected } from "./Model.js"
import type { Disturbance, Program } from "./Program.js"

/** What a process has. */
type Provided = Layer.Layer.Success<ReturnType<typeof layerFile>>

export interface Options {
  /**
   * Makes the process let go of what it has in memory, as if there were too much of it, while the
   * runs go on there. Without it an eviction is a drain.
   */
  readonly evict?: Effect.Effect<void, never, Provided> | undefined
  /** Pauses all workflows, so that they park, and lets them go on. Without it that is a drain. */
  readonly park?:
    | {
        readonly begin: Effect.Effect<void, never, Provided>
        readonly end: Effect.Effect<void, never, Provided>
      }
    | undefined
  /** Steps in flight are waited for in a drain, or cut. Default: cut. */
  readonly patient?: boolean | undefined
}

export interface Report {
  /** What the run came to; `undefined` if it is stuck. */
  readonly exit: string | undefined
  /** Steps as they were executed, by name and attempt. */
  readonly executed: ReadonlyArray<string>
  readonly undone: ReadonlyArray<string>
  readonly violations: ReadonlyArray<string>
}

/** What all processes have done of one program, but for those that were killed. */
class Log {
  exit: string | undefined
  readonly executed: Array<string> = []
  readonly undone: Array<string> = []
  readonly violations: Array<string> = []
  /** Its run, and those of its children that are known of. */
  readonly runs: Set<string>
  readonly signals = new Map<string, Live.Signal>()
  private readonly recorded = new Set<string>()
  private readonly sent = new Set<string>()

  constructor(readonly runId: string) {
    this.runs = new Set([runId])
  }

  /** For one process; `killed` ones are not listened to. */
  notes(process: { readonly killed: boolean }): Live.Notes {
    const ifAlive =
      <A extends ReadonlyArray<unknown>>(note: (...what: A) => void) =>
      (...what: A) => {
        if (!process.killed) note(...what)
      }
    return {
      executes: ifAlive((runId, key) => {
        this.runs.add(runId)
        this.executed.push(key)
        if (this.recorded.has(`${runId}/${key}`)) {
          this.violations.push(`step ${key} was recorded and is executed again`)
        }
      }),
      undoes: ifAlive((name) => {
        this.undone.push(name)
      }),
      handles: ifAlive((at, cause) => {
        if (Cause.isInterruptedOnly(cause)) {
          this.violations.push(`the handler of ${at} sees an interrupt that nobody asked for`)
        }
      }),
      awaits: ifAlive((signal) => {
        this.runs.add(signal.runId)
        this.signals.set(keyOf(signal), signal)
      })
    }
  }

  /** Notes which steps are recorded: they are not to execute from now on. */
  readonly observe = Effect.gen(this, function* () {
    const store = yield* RunStore
    for (const runId of this.runs) {
      const found = yield* store.findWithSteps(runId)
      if (found._tag === "None") continue
      for (const { attempt, name, status } of found.value.steps) {
        if (status === "completed" || status === "failed") {
          this.recorded.add(`${runId}/${name}/${attempt}`)
        }
      }
    }
  })

  /** A signal that is awaited and was not sent. */
  due(): Live.Signal | undefined {
    for (const [key, signal] of this.signals) {
      if (this.sent.has(key)) continue
      this.sent.add(key)
      return signal
    }
    return undefined
  }
}

const keyOf = ({ name, runId }: Live.Signal) => `${runId}/${name}`

const send = ({ how, name, runId, workflow }: Live.Signal) => {
  const deferred = Live.deferred(name)
  return DurableDeferred.done(deferred, {
    token: DurableDeferred.tokenFromExecutionId(deferred, { workflow, executionId: runId }),
    exit: how === "succeeds" ? Exit.succeed(name) : Exit.fail(name)
  })
}

/** How many turns a program gets that nothing disturbs any more. */
const patience = 2_500

/** Sends what is awaited and lets time pass, until all runs are over or so many turns are. */
const drive = (logs: ReadonlyArray<Log>, rounds: number) =>
  Effect.gen(function* () {
    let idle = 0
    for (let round = 0; round < rounds; round++) {
      yield* moment(round)
      if (round % 4 !== 3) continue
      let isIdle = true
      for (const log of logs) {
        if (log.exit !== undefined) continue
        const result = yield* Live.Root.poll(log.runId)
        if (result?._tag === "Complete") log.exit = Live.textOf(result.exit)
        const signal = log.exit === undefined ? log.due() : undefined
        if (signal === undefined) continue
        yield* send(signal)
        isIdle = false
      }
      if (areOver(logs)) return
      if (isIdle && ++idle % 2 === 0) {
        yield* TestClock.adjust(idle % 4 === 0 ? "3 hours" : "20 seconds")
      }
    }
  })

const areOver = (logs: ReadonlyArray<Log>) => logs.every(({ exit }) => exit !== undefined)

/** What was told of a run's end is there still, whatever has happened since. */
const staysOver = (log: Log) =>
  Effect.gen(function* () {
    if (log.exit === undefined) return
    const result = yield* Live.Root.poll(log.runId)
    const exit = result?._tag === "Complete" ? Live.textOf(result.exit) : result?._tag
    if (exit !== log.exit) log.violations.push(`it ${log.exit}, and later: ${exit}`)
  })

interface Process {
  /** Nobody listens to it any more. */
  killed: boolean
}

/**
 * One process, which is stopped at the end; for that it may need time to pass.
 *
 * @returns whether it has stopped
 */
const inOneProcess = <E>(
  body: Effect.Effect<void, E, Provided>,
  options: {
    readonly filename: string
    readonly workflows: ReturnType<typeof Live.layer>
    readonly stopTimeout: Duration.DurationInput
  }
) =>
  Effect.gen(function* () {
    const stops = yield* Deferred.make<void>()
    const fiber = yield* body.pipe(
      Effect.ensuring(Deferred.succeed(stops, undefined)),
      inProcess(options.filename, options.workflows, {
        leaseDuration: lease,
        stopTimeout: options.stopTimeout
      }),
      Effect.forkDaemon
    )
    yield* Effect.raceFirst(Deferred.await(stops), Fiber.await(fiber))
    for (let n = 0; n < patience; n++) {
      if (fiber.unsafePoll() !== null) {
        yield* Fiber.join(fiber)
        return true
      }
      yield* moment(n)
      if (n > 300 && n % 30 === 0) yield* TestClock.adjust("1 second")
    }
    return false
  })

/** A lease, and a time in which it lapses. */
const lease = "30 days"
const lapse = "60 days"

let programsBefore = 0

/** The programs as runs to start, each with its log. */
const begun = (programs: ReadonlyArray<Program>) =>
  Effect.gen(function* () {
    const payloads = programs.map(({ end, node }) => ({
      id: `${programsBefore++}`,
      at: "p",
      node,
      end
    }))
    const logs = new Map<string, Log>()
    for (const payload of payloads) {
      logs.set(payload.id, new Log(yield* Live.Root.executionId(payload)))
    }
    const start = Effect.forEach(
      payloads,
      (payload) => Live.Root.execute(payload, { discard: true }),
      { discard: true }
    )
    return { logs, start }
  })

/** For fewer turns than these a workflow is paused: none in which time goes on. */
const turnsParked = 8

/** Runs the programs side by side on that engine, and says what each has done. */
export const runOn = <E>(
  programs: ReadonlyArray<Program>,
  engine: Layer.Layer<WorkflowEngine.WorkflowEngine, E>
) =>
  Effect.gen(function* () {
    const { logs, start } = yield* begun(programs)
    const notes = new Map(Array.from(logs, ([id, log]) => [id, log.notes({ killed: false })]))
    const all = [...logs.values()]
    yield* Effect.zipRight(start, drive(all, patience)).pipe(
      Effect.provide(
        Layer.provideMerge(
          Live.layer((id) => notes.get(id)),
          engine
        )
      )
    )
    const reports: ReadonlyArray<Report> = all
    return reports
  })

/** The same on this engine, on a file, whatever happens to the processes. */
export const run = (
  programs: ReadonlyArray<Program>,
  disturbances: ReadonlyArray<Disturbance>,
  options: Options = {}
) =>
  Effect.gen(function* () {
    const stopTimeout = options.patient === true ? "1 minute" : 0
    const { logs, start } = yield* begun(programs)
    const all = [...logs.values()]
    const left = [...disturbances]
    let filename = yield* temporaryFile
    let isStarted = false
    let isOver = false

    /** Until something ends the process, or all is over. */
    const goOn = (process: Process) =>
      Effect.gen(function* () {
        if (!isStarted) yield* start
        isStarted = true
        while (true) {
          const disturbance = left.shift()
          for (const log of all) yield* log.observe
          yield* drive(all, disturbance?.after ?? patience)
          for (const log of all) yield* log.observe
          isOver = areOver(all) || disturbance === undefined
          if (isOver) return yield* Effect.forEach(all, staysOver, { discard: true })
          if (disturbance?.kind === "evict" && options.evict !== undefined) {
            yield* options.evict
            continue
          }
          if (disturbance?.kind === "park" && options.park !== undefined) {
            yield* options.park.begin
            yield* drive(all, disturbance.after % turnsParked)
            for (const log of all) yield* log.observe
            yield* options.park.end
            continue
          }
          if (disturbance?.kind === "kill") {
            filename = yield* copyInto(filename, `${filename}-copy`)
            process.killed = true
          }
          return
        }
      })

    while (!isOver) {
      const process: Process = { killed: false }
      const notes = new Map(Array.from(logs, ([id, log]) => [id, log.notes(process)]))
      const stopped = yield* inOneProcess(goOn(process), {
        filename,
        workflows: Live.layer((id) => notes.get(id)),
        stopTimeout
      })
      if (!stopped) for (const log of all) log.violations.push("its process does not stop")
      if (process.killed) yield* TestClock.adjust(lapse)
    }
    const reports: ReadonlyArray<Report> = all
    return reports
  })

/** What is wrong with what has come of a program. */
export const problems = (expected: Expected, report: Report): ReadonlyArray<string> => {
  const { executed, exit, undone, violations } = report
  const found = [...violations]
  if (exit === undefined) found.push("it is stuck")
  else if (exit !== expected.exit) found.push(`it ${exit}, and should: ${expected.exit}`)
  const compare = (
    what: string,
    actual: ReadonlyArray<string>,
    certain: ReadonlySet<string>,
    possible: ReadonlySet<string>
  ) => {
    for (const name of certain) if (!actual.includes(name)) found.push(`${what} ${name} is missing`)
    for (const name of new Set(actual)) {
      if (!certain.has(name) && !possible.has(name)) found.push(`${what} ${name} is uncalled for`)
    }
  }
  compare("step", executed, expected.steps, expected.maybeSteps)
  compare("compensation", undone, expected.undone, expected.maybeUndone)
  for (const [first, second] of expected.pairs) {
    if (undone.indexOf(first) < undone.indexOf(second)) {
      found.push(`compensation ${first} comes before ${second}`)
    }
  }
  return found
}

/** Steps that were executed more often than once, though nothing has disturbed the process. */
export const repeated = (expected: Expected, { executed }: Report): ReadonlyArray<string> =>
  [...expected.steps]
    .filter((key) => executed.indexOf(key) !== executed.lastIndexOf(key))
    .map((key) => `step ${key} is executed again, undisturbed`)
