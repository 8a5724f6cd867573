/** What `runs show` tells of a run, from the file that it is in. */
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { aRun, aStep, begin, suspend } from "../../src/testing/Acts.js"
import * as Process from "../support/Executor.js"
import { command } from "./support.js"

const cause = JSON.stringify({ _tag: "Die", defect: { name: "Error", message: "no decoder" } })

/** Each command is a process, on a machine that may be busy. */
const slow = 120_000

/** A file with what somebody has written to it. */
const fileWith = <A>(write: (executor: number) => Effect.Effect<A, unknown, RunStore>) =>
  Effect.gen(function* () {
    const filename = join(yield* Process.makeFolder, "executor.db")
    const layer = SqliteRunStore.layerFile({ filename, pollInterval: Duration.infinity })
    yield* Effect.flatMap(RunStore, (store) =>
      store.register({ host: "here", pid: 1, leaseMillis: 60_000 })
    ).pipe(Effect.flatMap(write), Effect.provide(layer))
    return filename
  })

const show = (filename: string, runId: string, ...args: ReadonlyArray<string>) =>
  command(["runs", "show", runId, "--database", filename, ...args], { traces: true })

describe("runs show", () => {
  it.scopedLive(
    "tells where an unexpected error came from, in which step, and its causes",
    () =>
      Effect.gen(function* () {
        const defect = {
          name: "Error",
          message: "a fault",
          stack: "Error: a fault\n    at charge (/app/order.js:1:1)\u001b[2J",
          cause: { name: "TypeError", message: "the root" }
        }
        const exit = JSON.stringify({ _tag: "Failure", cause: { _tag: "Die", defect } })
        const filename = yield* fileWith((executor) =>
          Effect.gen(function* () {
            const store = yield* RunStore
            const { held } = yield* begin(executor, "r")
            const step = { held, name: "charge", attempt: 2, startedAt: 1, completedAt: 2 }
            yield* store.recordStep({ ...step, status: "failed", exit, timers: [] })
            yield* store.complete({ held, status: "failed", exit })
          })
        )
        const { code, out } = yield* show(filename, "r")
        expect(code).toBe(0)
        expect(out).toMatch(/^error +Defect: a fault$/m)
        expect(out).toMatch(/^in step +charge \(attempt 2\)$/m)
        expect(out).toMatch(
          /^Error: a fault\n {4}at charge \(\/app\/order\.js:1:1\)\\u\{1b\}\[2J\n {2}\[cause\]: TypeError: the root$/m
        )
        expect(JSON.parse((yield* show(filename, "r", "--json")).out)).toMatchObject({
          failedStep: { name: "charge", attempt: 2 },
          stack: expect.stringContaining("at charge (/app/order.js:1:1)")
        })
      }),
    slow
  )

  it.scopedLive(
    "tells what a run waits for, and the runs around it",
    () =>
      Effect.gen(function* () {
        const first = [
          { type: "signal", name: "paid", since: 0 },
          { type: "timer", name: "nap", since: 0, until: 60_000 },
          { type: "child", name: "c", since: 0 }
        ]
        const filename = yield* fileWith((executor) =>
          Effect.gen(function* () {
            const store = yield* RunStore
            const parent = yield* begin(executor, "p")
            yield* begin(executor, "c", { parent: { runId: "p", awaits: true } })
            yield* suspend(parent, { waitsFor: JSON.stringify({ total: 5, first }) })
            yield* store.create(aRun("pending"))
          })
        )
        const parent = (yield* show(filename, "p")).out
        expect(parent).toMatch(/^children +Order c \(running\)$/m)
        expect(parent).toMatch(/^waits for +signal paid since 1970-01-01 00:00:00$/m)
        expect(parent).toMatch(/^waits for +timer nap until 1970-01-01 00:01:00$/m)
        expect(parent).toMatch(/^waits for +child c since 1970-01-01 00:00:00$/m)
        expect(parent).toMatch(/^and +2 more$/m)
        expect((yield* show(filename, "c")).out).toMatch(/^parent +Order p \(suspended\)$/m)
        expect((yield* show(filename, "pending")).out).toMatch(
          /^waits for +an executor that has registered Order, and has room$/m
        )
      }),
    slow
  )
})

/** A run of 1,500 steps, one of which came to more than is shown with others. */
const long = (executor: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const { held } = yield* begin(executor, "long-1")
    const big = JSON.stringify({ _tag: "Success", value: "x".repeat(1024 * 1024) })
    const record = (n: number) =>
      store.recordStep({
        ...{ held, name: `s${n}`, attempt: 1, status: "completed", startedAt: n },
        ...{ completedAt: n, exit: n === 7 ? big : `{"_tag":"Success","value":${n}}`, timers: [] }
      })
    const all = Array.from({ length: 1_500 }, (_, n) => record(n))
    yield* Effect.all(all, { concurrency: "unbounded", discard: true })
    yield* store.complete({ held, status: "completed", exit: big })
    yield* store.create(aRun("long-2"))
    yield* store.create(aRun("other"))
  })

it.scopedLive(
  "runs show tells when signals were received, what timers there are, and who executed a step",
  () =>
    Effect.gen(function* () {
      const filename = yield* fileWith((executor) =>
        Effect.gen(function* () {
          const store = yield* RunStore
          const { held } = yield* begin(executor, "r")
          const timers = [{ name: "DurableClock/nap", wakeAt: 60_000 }]
          yield* store.recordStep(aStep(held, { exit: `{"_tag":"Success","value":1}`, timers }))
          for (let n = 0; n < 21; n++) {
            yield* store.signal({ runId: "r", name: `paid ${n}`, exit: "1" })
          }
        })
      )
      const { out } = yield* show(filename, "r")
      expect(out).not.toMatch(/paid 0,/)
      expect(out).toMatch(/^signal +paid 1, received \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m)
      expect(out).toMatch(/^and +1 before$/m)
      expect(out).toMatch(/^timer +nap, due 1970-01-01 00:01:00$/m)
      expect(out).toMatch(/^STEP.* TOOK +EXECUTOR +RESULT$/m)
      expect(out).toMatch(/^charge +1 +completed .* 1 +1$/m)
    }),
  slow
)

describe("a run with a long record", () => {
  it.scopedLive(
    "is shown with all its steps, and what is large by itself",
    () =>
      Effect.gen(function* () {
        const filename = yield* fileWith(long)
        const { out } = yield* show(filename, "long-1")
        const rows = out.match(/^s\d+ .*$/gm) ?? []
        expect(rows.map((row) => row.split(" ")[0])).toEqual(
          Array.from({ length: 1_500 }, (_, n) => `s${n}`)
        )
        expect(out.match(/^STEP /gm)).toHaveLength(1)
        expect(rows[7]).toMatch(/\d{7} bytes; --only or --step shows them$/)
        expect(out).toMatch(/^result +\d{7} bytes; --only or --step shows them$/m)
        const json = JSON.parse((yield* show(filename, "long-1", "--json")).out)
        expect(json.steps).toHaveLength(1_500)
        expect(json).not.toHaveProperty("stepsCursor")
        expect(json.steps[1_499]).toMatchObject({ name: "s1499", result: 1_499 })
        const step = JSON.parse((yield* show(filename, "long-1", "--step", "s7")).out)
        expect(step.result).toHaveLength(1024 * 1024)
        const result = JSON.parse((yield* show(filename, "long-1", "--only", "result")).out)
        expect(result.result).toHaveLength(1024 * 1024)
        const payload = JSON.parse((yield* show(filename, "long-1", "--only", "payload")).out)
        expect(payload).toEqual({ runId: "long-1", payload: { id: "long-1" } })
        expect((yield* show(filename, "long-1", "--step", "s7", "--attempt", "2")).code).toBe(1)
        const watched = yield* command(["runs", "watch", "long-1", "--database", filename])
        expect(watched.out.match(/^[\d:]{8} {2}step s\d+ completed/gm)).toHaveLength(1_500)
        expect(watched.out).toMatch(/step s1499 completed.*\n[\d:]{8} {2}run completed/)
      }),
    slow
  )
})

describe("an id that is shortened", () => {
  it.scopedLive(
    "names the run of which alone it is the beginning",
    () =>
      Effect.gen(function* () {
        const filename = yield* fileWith(long)
        const runs = (...args: ReadonlyArray<string>) =>
          command(["runs", ...args, "--database", filename])
        expect((yield* runs("show", "othe")).out).toMatch(/^run +other$/m)
        expect(yield* runs("interrupt", "othe", "--json")).toMatchObject({
          code: 0,
          out: '{"runId":"other"}\n'
        })
        const several = yield* runs("show", "long")
        expect(several).toMatchObject({ code: 2, out: "" })
        expect(several.err).toBe(
          '"long" is the beginning of several ids: long-1 (Order), long-2 (Order); give more of it\n'
        )
        // a whole id is that run's, whatever else begins so
        expect((yield* runs("signal", "long-2", "go", "1")).code).toBe(0)
        for (const none of ["oth", "othe-", "lon"]) {
          expect((yield* runs("show", none)).code).toBe(4)
        }
        expect((yield* runs("list", "--parent", "long")).code).toBe(2)
        expect((yield* runs("list", "--parent", "othe", "--json")).out).toContain('"runs":[]')
      }),
    slow
  )
})

describe("runs that wait to be mended", () => {
  it.scopedLive(
    "are listed by themselves, and a problem to the doctor",
    () =>
      Effect.gen(function* () {
        const filename = yield* fileWith((executor) =>
          Effect.gen(function* () {
            yield* suspend(yield* begin(executor, "a"), { cause })
            yield* suspend(yield* begin(executor, "b", { parent: { runId: "a", awaits: false } }))
          })
        )
        const listed = (...args: ReadonlyArray<string>) =>
          Effect.map(
            command(["runs", "list", "--database", filename, "--json", ...args]),
            ({ out }) => JSON.parse(out).runs.map(({ runId }: { runId: string }) => runId)
          )
        expect(yield* listed("--mend")).toEqual(["a"])
        expect(yield* listed("--roots")).toEqual(["a"])
        expect(yield* listed("--parent", "a")).toEqual(["b"])
        expect((yield* show(filename, "a")).out).toMatch(
          /^waits for +its error to be mended; resume it then$/m
        )
        const doctor = yield* command(["doctor", "--database", filename])
        expect(doctor.code).toBe(1)
        expect(doctor.out).toMatch(/^runs to mend +problem +1 of Order, suspended after a failure/m)
        yield* command(["runs", "interrupt", "a", "--database", filename])
        expect((yield* command(["doctor", "--database", filename])).out).toMatch(
          /^runs to mend +ok +none$/m
        )
      }),
    slow
  )
})
