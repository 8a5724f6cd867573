import { describe, expect, it } from "@effect/vitest"
import * as RunChanges from "../../src/cli/RunChanges.js"
import type { RunWithStepsView, StepView } from "../../src/runner/Runs.js"

const at = (minute: number) => `2026-11-22T18:0${minute}:00.000Z`

const run = (more: Partial<RunWithStepsView>): RunWithStepsView => ({
  ...{ runId: "1", workflow: "Order", status: "suspended", steps: [] },
  ...{ createdAt: at(0), startedAt: at(1) },
  ...more
})

const step: StepView = {
  name: "charge",
  attempt: 1,
  status: "completed",
  startedAt: at(2),
  completedAt: at(3)
}

const signal = { type: "signal", name: "Go", since: at(4) } as const

describe("a run that is suspended when it is first looked at", () => {
  const first = (more: Partial<RunWithStepsView>) =>
    RunChanges.make()
      .look(run(more), at(9))
      .after.map(({ at }) => at)

  it("is so since it waits for what it does, or else since its last step", () => {
    expect(first({ steps: [step], waitsFor: { total: 1, first: [signal] } })).toEqual([at(4)])
    expect(first({ steps: [step], waitsFor: { total: 1, first: [{ type: "mend" }] } })).toEqual([
      at(3)
    ])
    expect(first({})).toEqual([at(1)])
  })

  it("is so since it was seen, where it had been seen before", () => {
    const looks = RunChanges.make()
    looks.look(run({ status: "running" }), at(2))
    const { after } = looks.look(run({ waitsFor: { total: 1, first: [signal] } }), at(9))
    expect(after.map(({ at }) => at)).toEqual([at(9)])
  })
})
