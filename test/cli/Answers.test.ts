/** What the commands make of what they find, without processes. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { RunView, RunWithStepsView, StepView } from "../../src/api/RunView.js"
import * as Command from "../../src/cli/Command.js"
import * as Failures from "../../src/cli/Failures.js"
import * as Findings from "../../src/cli/Findings.js"
import * as RunChanges from "../../src/cli/RunChanges.js"
import * as RunText from "../../src/cli/RunText.js"
import * as Table from "../../src/cli/Table.js"
import type { ExecutorInfo } from "../../src/store/RunStore.js"

describe("a table", () => {
  it("has columns as wide as their widest cell, and a dash where there is nothing", () => {
    expect(
      Table.render(
        ["A", "BEE", "C"],
        [
          ["1", "2", undefined],
          ["long", "", "x"]
        ]
      )
    ).toBe("A     BEE  C\n1     2    -\nlong  -    x")
  })

  it("cuts lines at the terminal's edge", () => {
    expect(Table.render(["A", "B"], [["123456", "7"]], { width: 5 })).toBe("A   …\n1234…")
  })

  it("has its last column in lines of its own where it would be cut, if asked to", () => {
    const rows = [
      ["1", "failed", "OutOfStock: none left"],
      ["2", "running", undefined]
    ]
    const headings = ["RUN", "STATUS", "ERROR"]
    const options = { width: 24, lastBelow: true }
    expect(Table.render(headings, rows, options)).toBe(
      "RUN  STATUS\n1    failed\n  OutOfStock: none left\n2    running"
    )
    expect(Table.render(headings, rows, { ...options, width: 40 })).toBe(
      Table.render(headings, rows)
    )
  })

  it("keeps a run's id and its error on a terminal of 80 columns", () => {
    const failed: RunView = {
      ...run("failed"),
      runId: "0123456789abcdef0123456789abcdef",
      completedAt: "2026-01-01T00:00:02.500Z",
      error: { _tag: "CardNotCharged", message: "the bank does not answer, and has not for days" }
    }
    const shown = Table.render(
      ["RUN", "WORKFLOW", "STATUS", "CREATED", "TOOK", "ERROR"],
      [RunText.rowOfRun(failed)],
      { width: 80, lastBelow: true }
    )
    expect(shown).toContain(failed.runId)
    expect(shown).toContain("CardNotCharged: the bank does not answer, and has not for days")
    expect(shown).not.toContain("…")
  })

  it("shows what would move the cursor, and breaks no line", () => {
    expect(Table.render(["A"], [["\u001b[2Jgone\nnot"]])).toBe("A\n\\u{1b}[2Jgone not")
    expect(Table.plain("a\u202eb")).toBe("a\\u{202e}b")
  })

  it("shows times as people read them", () => {
    const durations: ReadonlyArray<readonly [millis: number, text: string]> = [
      [-5, "0ms"],
      [350, "350ms"],
      [2_540, "2.5s"],
      [59_990, "1m 0s"],
      [200_000, "3m 20s"],
      [18_120_000, "5h 2m"],
      [273_600_000, "3d 4h"]
    ]
    for (const [millis, text] of durations) expect(Table.duration(millis)).toBe(text)
    expect(Table.time("2026-11-22T19:03:07.123Z")).toBe("2026-11-22 19:03:07")
  })
})

const step = (name: string, status: StepView["status"], attempt = 1): StepView => ({
  name,
  attempt,
  status,
  startedAt: "2026-01-01T00:00:00.000Z"
})

const run = (
  status: RunWithStepsView["status"],
  ...steps: ReadonlyArray<StepView>
): RunWithStepsView => ({
  runId: "1",
  workflow: "Order",
  status,
  payload: {},
  createdAt: "2026-01-01T00:00:00.000Z",
  steps
})

describe("what happened to a run between two looks", () => {
  const now = "2026-01-01T00:00:30.000Z"
  const changes = (before: RunWithStepsView | undefined, run: RunWithStepsView) => {
    const looks = RunChanges.make()
    if (before !== undefined) looks.look(before, now)
    const told = looks.look(run, now)
    return [...told.before, ...told.after]
  }
  const told = (before: RunWithStepsView | undefined, after: RunWithStepsView) =>
    changes(before, after).map(RunText.describeEvent)
  const stamped = (before: RunWithStepsView | undefined, after: RunWithStepsView) =>
    changes(before, after).map((event) => [event.at.slice(17, 19), RunText.describeEvent(event)])

  it("is stamped with its own time, and with that of the look where none is recorded", () => {
    const at = (seconds: string) => `2026-01-01T00:00:${seconds}.000Z`
    const a = { ...step("a", "completed"), startedAt: at("02"), completedAt: at("09") }
    const b = { ...step("b", "completed"), startedAt: at("03"), completedAt: at("05") }
    const running = { ...run("running", a, b), startedAt: at("01") }
    expect(stamped(undefined, running)).toEqual([
      ["01", "run running"],
      ["05", "step b completed in 2.0s"],
      ["09", "step a completed in 7.0s"]
    ])
    const pending: RunWithStepsView = { ...running, status: "pending" }
    expect(stamped({ ...pending, status: "running", steps: [a] }, pending)).toEqual([
      ["05", "step b completed in 2.0s"],
      ["30", "run pending"]
    ])
    const c = { ...step("c", "running"), startedAt: at("29") }
    expect(stamped(pending, { ...running, steps: [a, b, c] })).toEqual([
      ["29", "run running"],
      ["29", "step c running"]
    ])
    const completed = { ...running, status: "completed" as const, completedAt: at("20") }
    expect(stamped(running, completed)).toEqual([["20", "run completed in 19.0s"]])
  })

  it("is told again of a step only when it executes again", () => {
    const cut = run("running", step("a", "running"))
    const again = { ...step("a", "running"), startedAt: "2026-01-01T00:00:05.000Z" }
    expect(told(cut, cut)).toEqual([])
    expect(told(cut, run("running", again))).toEqual(["step a running"])
  })

  it("is all of it at the first", () => {
    expect(told(undefined, run("running", step("a", "completed"), step("b", "running")))).toEqual([
      "run running",
      "step a completed",
      "step b running"
    ])
  })

  it("is what changed at the next, the end of the run last", () => {
    const before = run("running", step("a", "running"))
    expect(told(before, before)).toEqual([])
    expect(told(before, run("running", step("a", "failed"), step("a", "running", 2)))).toEqual([
      "step a failed",
      "step a (attempt 2) running"
    ])
    const failed = {
      ...run("failed", step("a", "failed")),
      startedAt: "2026-01-01T00:00:00.000Z",
      completedAt: "2026-01-01T00:00:02.500Z",
      error: { _tag: "OutOfStock", message: "none\nleft" }
    }
    expect(told(before, failed)).toEqual([
      "step a failed",
      "run failed in 2.5s: OutOfStock: none left"
    ])
  })
})

describe("doctor", () => {
  const now = 1_000_000_000_000
  const executor = (extra: Partial<ExecutorInfo> = {}): ExecutorInfo => ({
    id: 1,
    host: "box boot-id",
    pid: 42,
    state: "running",
    startedAt: now - 1_000,
    leaseUntil: now + 15_000,
    runs: 0,
    ...extra
  })
  const verdicts = (...executors: ReadonlyArray<ExecutorInfo>) =>
    Findings.ofExecutors(executors, now).map(({ check, verdict }) => `${check}: ${verdict}`)

  it("finds nothing wrong with executors that renew their leases", () => {
    expect(verdicts(executor())).toEqual(["executors: ok"])
  })

  it("warns where nothing executes runs", () => {
    expect(verdicts()).toEqual(["executors: warning"])
    expect(Findings.ofPending([{ workflow: "Order", runs: 3 }], false)).toEqual([
      {
        check: "pending runs",
        verdict: "warning",
        message: "3 of Order: they wait for an executor"
      }
    ])
  })

  it("takes a lapsed lease for a problem when runs wait for it", () => {
    expect(verdicts(executor(), executor({ leaseUntil: now }))).toEqual([
      "executors: ok",
      "leases: warning"
    ])
    expect(verdicts(executor({ leaseUntil: -1, runs: 2 }))).toEqual([
      "executors: warning",
      "leases: problem"
    ])
  })

  it("sees that a clock was set back", () => {
    expect(verdicts(executor({ startedAt: now + 3_600_000 }))).toEqual([
      "executors: ok",
      "clocks: problem"
    ])
  })
})

describe("exit codes", () => {
  it("tell scripts what happened", () => {
    const codes: ReadonlyArray<readonly [exit: Exit.Exit<unknown, unknown>, code: number]> = [
      [Exit.void, 0],
      [Exit.fail({ _tag: "Any" }), 1],
      [Exit.die("any"), 1],
      [Exit.fail(new Failures.UsageError({ message: "" })), 2],
      [Exit.fail(new Failures.CommandEnded({ exitCode: 3 })), 3],
      [Exit.fail({ _tag: "RunNotFound" }), 4],
      // what `start` waits for
      [Exit.interrupt(FiberId.none), 0],
      [
        Exit.failCause(
          Cause.sequential(
            Cause.interrupt(FiberId.none),
            Cause.die(new Failures.CommandEnded({ exitCode: 130 }))
          )
        ),
        130
      ]
    ]
    for (const [exit, code] of codes) expect(Failures.exitCodeOf(exit)).toBe(code)
  })
})

const said = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const console = yield* Console.consoleWith(Effect.succeed)
    yield* Command.run(["node", "workflow-executor", ...args]).pipe(
      Effect.withConsole({
        ...console,
        log: (line: unknown) => Effect.sync(() => void lines.push(String(line)))
      }),
      Effect.provide(NodeContext.layer)
    )
    return lines.join("\n")
  })

describe("completions", () => {
  it.effect("complete commands, options and choices in bash", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "completions-"))
      const script = join(folder, "script")
      writeFileSync(
        script,
        `${yield* said("--completions", "bash")}
for line in "do" "runs li" "runs list --st" "runs list --status fa" "doctor --fu" "dr" "drain --ti"; do
  COMP_WORDS=(workflow-executor $line)
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _workflow-executor_bash_completions workflow-executor
  echo "\${COMPREPLY[@]}"
done`
      )
      try {
        expect(execFileSync("bash", [script], { encoding: "utf8" }).split("\n")).toEqual([
          "doctor",
          "list",
          "--status",
          "failed",
          "--full",
          "drain",
          "--timeout",
          ""
        ])
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  )

  it.effect("are there for zsh and fish", () =>
    Effect.gen(function* () {
      expect(yield* said("--completions", "zsh")).toContain("#compdef workflow-executor")
      expect(yield* said("--completions", "fish")).toContain("complete -c workflow-executor")
    })
  )
})
