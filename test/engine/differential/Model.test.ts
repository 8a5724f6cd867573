/** The plain interpreter, on programs whose outcome can be seen. */
import { assert, describe, it } from "@effect/vitest"
import { expected } from "./Model.js"
import type { Node } from "./Program.js"

const step: Node = { _tag: "Step", how: "succeeds", takes: 0 }
const fails: Node = { _tag: "Step", how: "fails", takes: 0 }
const dies: Node = { _tag: "Step", how: "dies", takes: 0 }
const never: Node = { _tag: "Never", how: "signal" }
const undo: Node = { _tag: "Undo", undo: "step", takes: 0 }

const seq = (...nodes: ReadonlyArray<Node>): Node => ({ _tag: "Seq", nodes })
const all = (concurrency: 1 | 2 | "unbounded", ...nodes: ReadonlyArray<Node>): Node => ({
  _tag: "All",
  by: "all",
  concurrency,
  nodes
})
const race = (by: "race" | "raceFirst" | "durable", left: Node, right: Node): Node => ({
  _tag: "Race",
  by,
  left,
  right
})
const handle = (by: "catchAllCause" | "catchAll", node: Node): Node => ({
  _tag: "Handle",
  by,
  node,
  next: step
})

const outcome = (node: Node, end: "succeeds" | "fails" = "succeeds") => {
  const found = expected({ node, end })
  return (
    found && {
      exit: found.exit,
      steps: [...found.steps],
      maybeSteps: [...found.maybeSteps],
      undone: [...found.undone],
      maybeUndone: [...found.maybeUndone]
    }
  )
}

const none = { steps: [], maybeSteps: [], undone: [], maybeUndone: [] }

describe("the model", () => {
  it("executes a sequence up to what fails", () => {
    assert.deepStrictEqual(outcome(seq(step, step)), {
      ...none,
      exit: "succeeds [p.0 p.1]",
      steps: ["p.0/1", "p.1/1"]
    })
    assert.deepStrictEqual(outcome(seq(step, fails, step)), {
      ...none,
      exit: "fails p.1",
      steps: ["p.0/1", "p.1/1"]
    })
  })

  it("has the attempts of a step, as many as it needs or may have", () => {
    assert.deepStrictEqual(outcome({ _tag: "Attempts", failures: 1, times: 2 }), {
      ...none,
      exit: "succeeds p",
      steps: ["p/1", "p/2"]
    })
    assert.deepStrictEqual(outcome({ _tag: "Attempts", failures: 2, times: 1 }), {
      ...none,
      exit: "fails p",
      steps: ["p/1", "p/2"]
    })
  })

  it("does not know what of the other branches executes when one fails", () => {
    assert.deepStrictEqual(outcome(all("unbounded", step, fails, never)), {
      ...none,
      exit: "fails p.1",
      steps: ["p.1/1"],
      maybeSteps: ["p.0/1"]
    })
    assert.deepStrictEqual(outcome(all(1, step, fails, step))?.maybeSteps, [])
  })

  it("does not say what comes of two branches that fail, or of one that may not get room", () => {
    assert.isUndefined(outcome(all("unbounded", fails, dies)))
    assert.isUndefined(outcome(all(2, never, never, fails)))
    assert.isUndefined(outcome(never))
  })

  it("lets the branch win a race that can", () => {
    assert.strictEqual(outcome(race("race", step, never))?.exit, "succeeds p.l")
    assert.strictEqual(outcome(race("race", fails, step))?.exit, "succeeds p.r")
    assert.strictEqual(outcome(race("raceFirst", fails, never))?.exit, "fails p.l")
    assert.isUndefined(outcome(race("raceFirst", fails, step)))
    assert.isUndefined(outcome(race("race", fails, never)))
    assert.isUndefined(outcome(race("race", step, step)))
  })

  it("goes on after a failure that is handled", () => {
    assert.deepStrictEqual(outcome(handle("catchAllCause", dies)), {
      ...none,
      exit: "succeeds (dies p.n: p.x)",
      steps: ["p.n/1", "p.x/1"]
    })
    assert.strictEqual(outcome(handle("catchAll", dies))?.exit, "dies p.n")
    assert.strictEqual(outcome(handle("catchAll", fails))?.exit, "succeeds (fails p.n: p.x)")
  })

  it("executes finalizers, whatever comes of what they are for", () => {
    assert.deepStrictEqual(outcome({ _tag: "Ensuring", by: "step", node: fails })?.steps, [
      "p.n/1",
      "finalize p/1"
    ])
    const acquired = { _tag: "Acquire", acquire: "step", release: "step", node: fails } as const
    assert.deepStrictEqual(outcome(acquired)?.steps, ["acquire p/1", "p.n/1", "release p/1"])
  })

  it("undoes what was done in the reverse order, if the workflow fails and only then", () => {
    assert.deepStrictEqual(outcome(seq(undo, undo))?.undone, [])
    assert.deepStrictEqual(outcome(seq(undo, undo), "fails")?.undone, ["undo p.0", "undo p.1"])
    assert.deepStrictEqual(expected({ node: seq(undo, undo), end: "fails" })?.pairs, [
      ["undo p.0", "undo p.1"]
    ])
    const both = all("unbounded", undo, undo)
    assert.deepStrictEqual(expected({ node: both, end: "fails" })?.pairs, [])
    // handled, but the workflow fails later all the same
    assert.deepStrictEqual(outcome(handle("catchAllCause", seq(undo, fails)), "fails")?.undone, [
      "undo p.n.0"
    ])
    assert.deepStrictEqual(outcome(all("unbounded", undo, fails))?.maybeUndone, ["undo p.0"])
  })

  it("undoes what a child has done if the child fails", () => {
    const child: Node = { _tag: "Child", end: "fails", node: undo }
    assert.deepStrictEqual(outcome(handle("catchAllCause", child)), {
      ...none,
      exit: "succeeds (fails end of p.n.c: p.x)",
      steps: ["p.n.c/1", "p.x/1"],
      maybeSteps: ["undo p.n.c/1"],
      undone: ["undo p.n.c"]
    })
    const succeeding: Node = { _tag: "Child", end: "succeeds", node: undo }
    assert.deepStrictEqual(outcome(succeeding, "fails")?.undone, [])
  })

  it("leaves what runs in the background to chance", () => {
    assert.deepStrictEqual(
      outcome({ _tag: "ForkScoped", own: true, branch: seq(step, never), node: step }),
      { ...none, exit: "succeeds p.n", steps: ["p.n/1"], maybeSteps: ["p.b.0/1"] }
    )
    assert.strictEqual(outcome({ _tag: "ForkJoin", branch: fails, node: step })?.exit, "fails p.b")
  })

  it("lets a branch go on with what another has given", () => {
    assert.strictEqual(
      outcome({ _tag: "Gate", by: "into", giver: step, next: step })?.exit,
      "succeeds [p.g p.x]"
    )
    assert.deepStrictEqual(outcome({ _tag: "Gate", by: "into", giver: fails, next: step }), {
      ...none,
      exit: "fails p.g",
      steps: ["p.g/1"]
    })
  })
})
