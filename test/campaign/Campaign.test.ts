import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Campaign from "./Campaign.js"
import * as Verdict from "./Verdict.js"
import type { Work } from "./Work.js"

describe("a campaign", () => {
  it.live(
    "of kills, drains and freezes loses no run, repeats no recorded step and compensates nothing",
    () =>
      Effect.gen(function* () {
        const options = { seed: 7, executors: 3, kills: 6, drains: 2, freezes: 2, steps: 700 }
        const outcome = yield* Campaign.run(options)
        console.info(Campaign.describe(outcome))
        expect(outcome).toMatchObject({
          lost: [],
          repeated: [],
          compensated: [],
          untrue: [],
          suspected: [],
          badExits: []
        })
        expect(outcome.recorded).toBeGreaterThanOrEqual(options.steps)
        expect(outcome.disturbed).toMatchObject({ kill: 6, drain: 2, freeze: 2 })
      }),
    240_000
  )

  it.live(
    "on PostgreSQL, whose server restarts and whose network fails, does neither",
    () =>
      Effect.gen(function* () {
        const options = {
          seed: 11,
          executors: 3,
          kills: 2,
          drains: 1,
          freezes: 1,
          rolls: 1,
          postgres: true,
          restarts: 1,
          holes: 1,
          resets: 1,
          steps: 300
        }
        const outcome = yield* Campaign.run(options)
        console.info(Campaign.describe(outcome))
        expect(outcome).toMatchObject({
          lost: [],
          repeated: [],
          compensated: [],
          untrue: [],
          suspected: [],
          badExits: []
        })
        expect(outcome.recorded).toBeGreaterThanOrEqual(options.steps)
        expect(outcome.disturbed).toEqual({
          ...{ kill: 2, drain: 1, freeze: 1, roll: 1 },
          ...{ restart: 1, hole: 1, reset: 1 }
        })
      }),
    240_000
  )
})

describe("its verdict", () => {
  const work = (workflow: Work["workflow"]): Work => ({ workflow, id: "1", steps: 2 })
  const said = (event: Verdict.Said["event"], step: string, execution: string, at: number) => ({
    event,
    runId: "r",
    step,
    execution,
    at,
    pid: Number.parseInt(execution, 10)
  })
  const run = {
    runId: "r",
    status: "completed",
    result: "1",
    setAside: false,
    steps: [{ step: "a/1", execution: "1-1" }]
  }
  const kept = {
    accepted: new Map([["r", work("Chain")]]),
    runs: [run],
    said: [said("began", "a/1", "1-1", 2), said("ended", "a/1", "1-1", 3)],
    told: [{ runId: "r", step: "a/1", execution: "1-1" }],
    thaws: []
  }
  const judged = (change: Partial<Parameters<typeof Verdict.judge>[0]>) => {
    const verdict = Verdict.judge({ ...kept, ...change })
    const { compensated, lost, repeated, suspected, untrue } = verdict
    const faults = { compensated, lost, repeated, suspected, untrue }
    const found = Object.entries(faults).flatMap(([fault, found]) =>
      found.length > 0 ? [fault] : []
    )
    expect(Verdict.isKept(verdict)).toBe(found.length === 0)
    return found
  }

  it("finds nothing where there is nothing, nor in what executed without being recorded", () => {
    expect(judged({})).toEqual([])
    expect(judged({ said: [said("began", "a/1", "2-1", 1), ...kept.said] })).toEqual([])
  })

  it("finds runs that are not there, not over, or not what they had to come to", () => {
    expect(judged({ runs: [], told: [] })).toEqual(["lost"])
    expect(judged({ runs: [{ ...run, status: "suspended" }] })).toEqual(["lost"])
    expect(judged({ runs: [{ ...run, result: "2" }] })).toEqual(["lost"])
    expect(judged({ runs: [{ ...run, status: "suspended", setAside: true }] })).toEqual([
      "lost",
      "suspected"
    ])
  })

  it("finds a step that began after it was recorded", () => {
    expect(judged({ said: [...kept.said, said("began", "a/1", "2-1", 4)] })).toEqual(["repeated"])
  })

  it("tells apart what was about to begin when its executor was frozen: one step, the first", () => {
    const thaws = [{ pid: 2, at: 4 }]
    const late = said("began", "a/1", "2-7", 5)
    expect(judged({ said: [...kept.said, late], thaws })).toEqual([])
    expect(Verdict.judge({ ...kept, said: [...kept.said, late], thaws }).caught).toHaveLength(1)
    // another process, before the thaw, or not the first
    const others = [
      [said("began", "a/1", "3-7", 5)],
      [said("began", "a/1", "2-7", 3.5)],
      [said("began", "b/1", "2-6", 5), said("began", "a/1", "2-7", 6)]
    ]
    for (const other of others) {
      expect(judged({ said: [...kept.said, ...other], thaws })).toEqual(["repeated"])
    }
  })

  it("finds compensations without a failure, and failures without compensations", () => {
    expect(judged({ said: [...kept.said, said("compensated", "a", "", 4)] })).toEqual([
      "compensated"
    ])
    const failed = {
      accepted: new Map([["r", work("Undone")]]),
      runs: [{ ...run, status: "failed" }]
    }
    expect(judged(failed)).toEqual(["compensated"])
    const undone = [...kept.said, said("compensated", "step-1", "", 4)]
    expect(judged({ ...failed, said: undone })).toEqual([])
  })

  it("finds an outcome that was told and is not the one that is recorded", () => {
    expect(judged({ told: [{ runId: "r", step: "a/1", execution: "2-1" }] })).toEqual(["untrue"])
  })
})
