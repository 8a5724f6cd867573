import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

const { times } = Fixture

/** A short lease, so that the runs of a dead executor are soon taken over. */
const lease = { LEASE_DURATION: "1 second" }

describe("executors that crash, freeze and share a file", () => {
  it.scopedLive(
    "every run completes after ten crashes, and no recorded step is executed again",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const count = 300
        let runIds: ReadonlyArray<string> = []
        for (let crash = 1; crash <= 10; crash++) {
          const executor = yield* fixture.start({ ...lease, MAX_CONCURRENT_STEPS: "20" })
          if (crash === 1) {
            runIds = yield* Effect.forEach(
              Array.from({ length: count }, (_, n) => `run-${n}`),
              (id) => executor.run("Work", { id, steps: 10, millis: 50 }),
              { concurrency: 50 }
            )
          }
          // in the middle of it: 3,000 steps are to be done in all; once this process has ended so many steps
          yield* fixture.executed(
            (executions) =>
              executions.filter(({ event, pid }) => event === "ended" && pid === executor.pid)
                .length >= 150
          )
          expect((yield* executor.stop("SIGKILL")).signal).toBe("SIGKILL")
        }

        const last = yield* fixture.start(lease)
        const runs = yield* Effect.forEach(runIds, (runId) => last.completed(runId), {
          concurrency: 10
        })
        const executions = yield* fixture.executions
        const latest = new Map<string, string>()
        for (const { event, execution, runId, step } of executions) {
          if (event === "began") latest.set(`${runId}/${step}`, execution)
        }
        for (const run of runs) {
          expect(run.steps).toHaveLength(10)
          for (const step of run.steps) {
            // whatever was recorded came last: nobody has executed the step after that
            expect(step.result).toBe(latest.get(`${run.runId}/${step.name}`))
          }
        }
        const began = executions.filter(({ event }) => event === "began").length
        console.info(
          `${count} runs of 10 steps over ten crashes: ${began - count * 10} executions were not recorded and repeated`
        )
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* last.stop()).code).toBe(0)
      }),
    180_000
  )

  it.scopedLive.runIf(process.platform === "linux")(
    "one that was killed is taken over by the next at once, however long its lease",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        // far longer than this test may take: nobody sees it lapse, nor looks at leases twice
        const long = { LEASE_DURATION: "1 day" }
        const killed = yield* fixture.start(long)
        const runId = yield* killed.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        expect((yield* killed.stop("SIGKILL")).signal).toBe("SIGKILL")
        yield* fixture.open("a")
        const next = yield* fixture.start(long)
        yield* next.log("took over from an executor that has died")
        yield* next.completed(runId)
        expect((yield* next.stop()).code).toBe(0)
      }),
    30_000
  )

  it.scopedLive(
    "two share the work, and one that is stopped hands over to the other",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        // little room, so that both are needed
        const room = { MAX_CONCURRENT_RUNS: "10", MAX_CONCURRENT_STEPS: "10" }
        const one = yield* fixture.start(room)
        const two = yield* fixture.start(room)
        const runIds = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, n) => `run-${n}`),
          (id) => one.run("Work", { id, steps: 5, millis: 50 }),
          { concurrency: 20 }
        )
        const began = (pid: number) =>
          fixture.executed(
            (executions) =>
              executions.filter((execution) => execution.event === "began" && execution.pid === pid)
                .length >= 20
          )
        yield* began(one.pid)
        yield* began(two.pid)
        const exited = yield* one.stop()
        expect(exited.code).toBe(0)
        const over = yield* one.log("drain over")
        expect(over.annotations.stepsCut).toBe(0)

        yield* Effect.forEach(runIds, (runId) => two.completed(runId), { concurrency: 10 })
        const executions = yield* fixture.executions
        // after a graceful stop every step has been executed exactly once
        for (const runId of runIds) {
          for (let n = 1; n <= 5; n++)
            expect(times(executions, "began", runId, `step-${n}`)).toBe(1)
        }
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* two.stop()).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "one that is frozen past its lease loses its run, refuses to write, and goes on with others",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const frozen = yield* fixture.start(lease)
        const runId = yield* frozen.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        yield* fixture.freeze(frozen)

        const other = yield* fixture.start(lease)
        yield* other.log("took over")
        yield* fixture.executed((executions) => times(executions, "began", runId, "held") === 2)
        // the step ends in both, while one of them is frozen
        yield* fixture.open("a")
        const run = yield* other.completed(runId)
        const winner = run.steps.find(({ name }) => name === "held")?.result

        yield* frozen.kill("SIGCONT")
        yield* frozen.log("lease lost")
        // it is there for others
        const next = yield* frozen.run("Work", { id: "next", steps: 2, millis: 10 })
        yield* frozen.completed(next)

        // what the frozen one still wrote was refused
        const after = yield* frozen.get(runId)
        expect(after).toEqual(run)
        const executions = yield* fixture.executions
        expect(executions.find(({ execution }) => execution === winner)?.pid).toBe(other.pid)
        expect(times(executions, "began", runId, "after")).toBe(1)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* frozen.stop()).code).toBe(0)
        expect((yield* other.stop()).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "one that is frozen past its lease starts no step once it goes on, in none of its branches",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        // a machine with much to do is not to take the run from the one that has it
        const longer = { LEASE_DURATION: "3 seconds" }
        const frozen = yield* fixture.start(longer)
        const payload = { id: "a", branches: 20, steps: 30, millis: 20 }
        const runId = yield* frozen.run("Branches", payload)
        const by = (pid: number) => (executions: ReadonlyArray<Process.Execution>) =>
          executions.filter((execution) => execution.pid === pid && execution.runId === runId)
        const began = (pid: number, executions: ReadonlyArray<Process.Execution>) =>
          by(pid)(executions).filter(({ event }) => event === "began")
        // in the middle of it: each branch has steps behind it and before it
        yield* fixture.executed((executions) => by(frozen.pid)(executions).length >= 300)
        yield* fixture.freeze(frozen)
        const other = yield* fixture.start(longer)
        yield* other.log("took over")
        const before = began(frozen.pid, yield* fixture.executions).length
        yield* fixture.executed((executions) => began(other.pid, executions).length > 0)

        // the other is in the middle of it too
        yield* frozen.kill("SIGCONT")
        yield* frozen.log("lease lost")
        const run = yield* other.completed(runId)
        // the one that was frozen has had all the time that it needs
        yield* frozen.completed(yield* frozen.run("Work", { id: "next", steps: 2, millis: 10 }))

        const executions = yield* fixture.executions
        // what it was about to start at the very instruction at which it was stopped goes on there
        const late = began(frozen.pid, executions).slice(before)
        expect(late.length).toBeLessThanOrEqual(1)
        expect(run.steps).toHaveLength(20 * 30)
        const latest = new Map(
          executions
            .filter((execution) => execution.event === "began" && execution.runId === runId)
            .filter((execution) => !late.includes(execution))
            .map(({ execution, step }) => [step, execution])
        )
        // what was recorded is what began last: it has not been executed again
        expect(run.steps.map(({ name, result }) => [name, result])).toEqual(
          run.steps.map(({ name }) => [name, latest.get(name)])
        )
        // and what the one had recorded before it was frozen was executed by it alone
        expect(run.steps.some(({ result }) => `${result}`.startsWith(`${frozen.pid}-`))).toBe(true)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* frozen.stop()).code).toBe(0)
        expect((yield* other.stop()).code).toBe(0)
      }),
    180_000
  )

  it.scopedLive("one that died on another machine is taken over once its lease has lapsed", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const killed = yield* fixture.start(lease)
      const runId = yield* killed.run("Held", { id: "a" })
      yield* fixture.began(runId, "held")
      yield* killed.stop("SIGKILL")
      // of which nobody here can see that it is dead
      yield* Fixture.statement(
        fixture.env.DATABASE_FILE,
        "UPDATE workflow_executors SET host = 'another machine'"
      )
      yield* fixture.open("a")
      const next = yield* fixture.start(lease)
      yield* next.log("took over from an executor whose lease had lapsed")
      yield* next.completed(runId)
      const executions = yield* fixture.executions
      expect(times(executions, "began", runId, "held")).toBe(2)
      expect(times(executions, "ended", runId, "held")).toBe(1)
    })
  )
})
