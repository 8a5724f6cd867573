/** The sentence that says why a run is not going on. */
import { assert, describe, it } from "@effect/vitest"
import type { RunWithStepsView, WaitView } from "../../src/api/RunView.js"
import { notPossible } from "../../src/dashboard/run/Actions.js"
import { why } from "../../src/dashboard/run/Why.js"

const now = Date.parse("2026-11-27T12:00:00.000Z")

const iso = (seconds: number) => new Date(now + seconds * 1_000).toISOString()

const run = (more: Partial<RunWithStepsView>): RunWithStepsView => ({
  runId: "0123456789abcdef0123456789abcdef",
  workflow: "Order",
  status: "suspended",
  createdAt: iso(-600),
  steps: [],
  ...more
})

const waiting = (...first: ReadonlyArray<WaitView>) =>
  why(run({ waitsFor: { total: first.length, first } }), now)

describe("why a run is not going on", () => {
  it("names the signal, since when, and the timer that ends the wait", () => {
    const timer = { type: "timer", name: "deadline", since: iso(-180), until: iso(330) } as const
    const signal = { type: "signal", name: "Approval", since: iso(-180) } as const
    assert.match(
      waiting(timer, signal),
      /^It waits for the signal Approval since 3 min; the timer deadline is due in 5 minutes, at \d/
    )
  })

  it("names the attempt that comes after a pause", () => {
    const pause = {
      type: "timer",
      name: "charge/2/backoff",
      since: iso(-1),
      until: iso(8)
    } as const
    assert.match(waiting(pause), /^Attempt 3 of charge is due in 8 seconds, at /)
  })

  it("names the child, and counts what there is besides", () => {
    const first = Array.from({ length: 20 }, (_, n) => ({
      type: "child" as const,
      runId: `child-${n}`,
      since: iso(-60)
    }))
    const text = why(run({ waitsFor: { total: 1_203, first } }), now)
    assert.match(text, /^It waits for its child child-0 since 1 min; .*; and for 1,200 more$/)
  })

  it("says what a pending run needs", () => {
    const of = (first: WaitView) =>
      why(run({ status: "pending", waitsFor: { total: 1, first: [first] } }), now)
    assert.include(of({ type: "executor", workflow: "Old" }), "registered the workflow Old")
    assert.include(of({ type: "room" }), "waits for room in an executor")
    assert.include(why(run({ status: "pending", crashes: 2 }), now), "2 executors in a row died")
  })

  it("names the queue, how full it is, and that it is paused", () => {
    const queued = run({
      status: "pending",
      waitsFor: { total: 1, first: [{ type: "queue" }] }
    })
    assert.strictEqual(why(queued, now), "It waits for its turn in its queue")
    assert.strictEqual(
      why(queued, now, { queue: { name: "mail" } }),
      "It waits for a slot of the queue mail"
    )
    const queue = { name: "mail", declared: {}, paused: false, running: 1, waiting: 1_200 }
    assert.strictEqual(
      why(queued, now, { queue }),
      "It waits for a slot of the queue mail: 1 run is under way, and 1,200 wait"
    )
    assert.strictEqual(
      why(queued, now, { queue: { ...queue, paused: true } }),
      "Its queue mail is paused: nothing of it begins until that is resumed"
    )
  })

  it("says when it begins, and until when it may take", () => {
    const later = run({
      status: "pending",
      waitsFor: { total: 1, first: [{ type: "start", until: iso(3_600) }] }
    })
    assert.match(why(later, now), /^It is to begin in 1 hour, at \d/)
    const step = { name: "charge", attempt: 1, status: "running", startedAt: iso(-4) } as const
    const timed = run({ status: "running", steps: [step], timeout: 900_000, deadline: iso(300) })
    assert.match(why(timed, now), /since 4 s; its time is over in 5 minutes, at \d/)
    assert.match(why({ ...timed, deadline: iso(-1) }, now), /; its time is over$/)
  })

  it("names who holds it, and says so where that one is gone", () => {
    const step = { name: "charge", attempt: 1, status: "running", startedAt: iso(-4) } as const
    const mine = run({ status: "running", heldBy: { executor: 7, self: true } })
    const other = run({ status: "running", heldBy: { executor: 4, self: false } })
    const holder = (alive: boolean, leaseUntil: string | null) => ({
      holder: { alive, leaseUntil }
    })
    assert.strictEqual(why(mine, now), "It is held by this executor, between two steps")
    assert.strictEqual(why(other, now), "It is held by executor 4")
    assert.strictEqual(why(other, now, holder(true, iso(20))), "It is held by executor 4")
    assert.strictEqual(
      why(other, now, holder(false, iso(-2))),
      "It is held by executor 4, whose lease lapsed 2 s ago"
    )
    // what it was at is not executed any more
    assert.strictEqual(
      why({ ...other, steps: [step] }, now, holder(false, iso(20))),
      "It is held by executor 4, which is gone: its lease is over in 20 s"
    )
    assert.include(why(other, now, holder(false, null)), "another one takes it over")
    assert.match(why({ ...other, steps: [step] }, now), /^It executes attempt 1 of charge/)
  })

  it("says what is to be mended", () => {
    const error = { _tag: "Defect", message: "the payload does not decode" }
    const waitsFor = { total: 1, first: [{ type: "mend" as const }] }
    assert.strictEqual(
      why(run({ error, waitsFor }), now),
      "It stopped, and waits to be mended and resumed: the payload does not decode"
    )
  })

  it("says what is executed, and what it came to", () => {
    const step = { name: "charge", attempt: 2, status: "running", startedAt: iso(-4) } as const
    assert.strictEqual(
      why(run({ status: "running", steps: [step, { ...step, name: "mail" }] }), now),
      "It executes attempt 2 of charge since 4 s, and 1 step more"
    )
    assert.strictEqual(
      why(run({ status: "completed", completedAt: iso(-480) }), now),
      "It completed after 2 min"
    )
    assert.strictEqual(
      why(
        run({
          status: "failed",
          completedAt: iso(-590),
          failedStep: { name: "charge", attempt: 3 },
          error: { _tag: "CardNotCharged", message: "no answer" }
        }),
        now
      ),
      "It failed after 10 s in attempt 3 of charge: no answer"
    )
  })
})

describe("what is not possible", () => {
  it("says why not, for each status", () => {
    const reason = (
      action: Parameters<typeof notPossible>[0],
      status: RunWithStepsView["status"]
    ) => notPossible(action, { status })
    assert.isUndefined(reason("resume", "suspended"))
    assert.strictEqual(reason("resume", "pending"), "It is pending, not suspended")
    assert.isUndefined(reason("retry", "failed"))
    assert.isUndefined(reason("retry", "interrupted"))
    assert.include(reason("retry", "completed") ?? "", "only what failed or was interrupted")
    assert.isUndefined(reason("delete", "completed"))
    assert.include(reason("delete", "running") ?? "", "only what is over is deleted")
    assert.strictEqual(reason("interrupt", "failed"), "It is over: failed")
    assert.isUndefined(reason("terminate", "pending"))
  })

  it("knows that one that is to begin later can begin at once", () => {
    const waitsFor = { total: 1, first: [{ type: "start" as const, until: iso(60) }] }
    assert.isUndefined(notPossible("resume", { status: "pending", waitsFor }))
  })

  it("knows that a run that was terminated or undone is not retried", () => {
    const reason = notPossible("retry", { status: "interrupted", terminated: true })
    assert.include(reason ?? "", "terminated")
    const undone = { status: "failed", compensated: true } as const
    assert.include(notPossible("retry", undone) ?? "", "undone")
    assert.isUndefined(notPossible("delete", undone))
  })
})
