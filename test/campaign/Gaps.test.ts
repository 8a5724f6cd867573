import { describe, expect, it } from "@effect/vitest"
import * as Gaps from "./Gaps.js"
import type { Said } from "./Verdict.js"

/** At so many milliseconds. */
const said = (
  pid: number,
  at: number,
  step: string,
  event: Said["event"] = "began",
  runId = "r"
): Said => ({ event, runId, step, execution: `${pid}-${at}`, at: at * 1_000, pid })

const goes = (pid: number, signal: Gaps.Departure["signal"], at: number): Gaps.Departure => ({
  pid,
  signal,
  at: at * 1_000
})

describe("gaps", () => {
  it("begin with the last that was executed after the signal, or else with the signal", () => {
    const lines = [
      said(1, 10, "step-1"),
      said(1, 25, "step-1", "ended"),
      said(2, 40, "step-2"),
      said(1, 5, "step-1", "began", "other"),
      said(2, 60, "step-1", "began", "other")
    ]
    expect(Gaps.gapsOf(lines, [goes(1, "SIGTERM", 20)])).toEqual({ drained: [40, 15], killed: [] })
    expect(Gaps.gapsOf(lines, [goes(1, "SIGKILL", 30)])).toEqual({ drained: [], killed: [30, 10] })
  })

  it("are none where the run went before its executor, or stayed, or waits for something", () => {
    const lines = [
      said(1, 10, "step-1"),
      said(2, 20, "step-1"),
      said(2, 30, "step-2"),
      said(1, 10, "before/1", "ended", "waits"),
      said(2, 90, "after/1", "began", "waits")
    ]
    expect(Gaps.gapsOf(lines, [goes(1, "SIGTERM", 25)])).toEqual({ drained: [], killed: [] })
  })

  it("are told by their median, their 99th percentile and the longest", () => {
    const drained = Array.from({ length: 200 }, (_, n) => n + 1)
    expect(Gaps.describe({ drained, killed: [] })).toBe(
      "from the end of an executor to the next step of its runs: drained 100 ms, p99 198 ms, longest 200 ms of 200; killed none"
    )
  })
})
