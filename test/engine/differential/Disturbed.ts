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
import * as TestClock from "effect/TestClock"
import { RunStore } from "../../../src/RunStore.js"
import { copyInto, inProcess, moment, temporaryFile } from "../support.js"
import * as Live from "./Live.js"
import type { Expected } from "./Model.js"
import type { Disturbance, Program } from "./Program.js"

export interface Options {
  /**
   * Makes the process let go of what it has in memory, as if there were too much of it, while the
   * run goes on there. Without it an eviction is a drain.
   */
  readonly evict?: Effect.Effect<void> | undefined
  /** Steps in flight are waited for in a drain, or cut. */
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

/** What all processes of one program have done, but for those that were killed. */
class Log {
  readonly executed: Array<string> = []
  readonly undone: Array<string> = []
  readonly violations: Array<string> = []
  /** Runs that are known of: the program's and those of its children. */
  readonly runs = new Set<string>()
  readonly signals = new Map<string, Live.Signal>()
  private readonly recorded = new Set<string>()
  private readonly sent = new Set<string>()

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
const patience = 4_000

/** Sends what is awaited and lets time pass, until the run is over or so many turns are. */
const drive = (log: Log, runId: string, rounds: number) =>
  Effect.gen(function* () {
    let actions = 0
    for (let round = 0; round < rounds; round++) {
      yield* moment(round)
      if (round % 4 !== 3) continue
      const result = yield* Live.Root.poll(runId)
      if (result?._tag === "Complete") return Live.textOf(result.exit)
      const signal = log.due()
      if (signal !== undefined) yield* send(signal)
      else if (++actions % 3 === 0)
        yield* TestClock.adjust(actions % 2 === 0 ? "3 hours" : "20 seconds")
    }
    return undefined
  })

/** One process: it does that and stops, and what it may need for its stop is time. */
const inOneProcess =
  (log: Log, filename: string, stopTimeout: Duration.DurationInput) =>
  <A, E>(
    body: (process: {
      killed: boolean
    }) => Effect.Effect<A, E, RunStore | WorkflowEngine.WorkflowEngine>
  ) =>
    Effect.gen(function* () {
      const process = { killed: false }
      const stops = yield* Deferred.make<void>()
      const fiber = yield* body(process).pipe(
        Effect.ensuring(Deferred.succeed(stops, undefined)),
        inProcess(filename, Live.layer(log.notes(process)), {
          leaseDuration: "30 days",
          stopTimeout
        }),
        Effect.forkDaemon
      )
      yield* Effect.raceFirst(Deferred.await(stops), Fiber.await(fiber))
      for (let n = 0; n < patience; n++) {
        if (fiber.unsafePoll() !== null) return yield* Fiber.join(fiber)
        yield* moment(n)
        if (n > 300 && n % 30 === 0) yield* TestClock.adjust("1 second")
      }
      log.violations.push("a process does not stop")
      return undefined
    })

let programs = 0

/** Runs it, and says what it has done. */
export const run = (
  program: Program,
  disturbances: ReadonlyArray<Disturbance>,
  options: Options = {}
) =>
  Effect.gen(function* () {
    const log = new Log()
    const left = [...disturbances]
    const stopTimeout = options.patient === true ? "1 minute" : 0
    const payload = { id: `${programs++}`, at: "p", node: program.node, end: program.end }
    const runId = yield* Live.Root.executionId(payload)
    let filename = yield* temporaryFile
    let exit: string | undefined
    let isOver = false

    /** Until something ends the process, or the run is over. */
    const goOn = (process: { killed: boolean }) =>
      Effect.gen(function* () {
        if (log.runs.size === 0) yield* Live.Root.execute(payload, { discard: true })
        log.runs.add(runId)
        while (true) {
          const disturbance = left.shift()
          yield* log.observe
          exit = yield* drive(log, runId, disturbance?.after ?? patience)
          yield* log.observe
          isOver = exit !== undefined || disturbance === undefined
          if (isOver) return
          if (disturbance?.kind === "evict" && options.evict !== undefined) {
            yield* options.evict
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
      yield* inOneProcess(log, filename, stopTimeout)(goOn)
      // its lease lapses; after a drain there is none
      if (!isOver) yield* TestClock.adjust("60 days")
    }
    const { executed, undone, violations } = log
    return { exit, executed, undone, violations } satisfies Report
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
