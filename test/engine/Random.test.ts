/** Small random workflows, with crashes at random points: the same result as without any. */
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { RunStore } from "../../src/store/RunStore.js"
import {
  copyInto,
  type Env,
  inProcess,
  noted,
  pass,
  step,
  temporaryFile,
  textWorkflow,
  turns
} from "./support.js"

type Part =
  | { readonly _tag: "Step" | "Undone" | "Child" | "Sleep" | "Signal" }
  | { readonly _tag: "Retry"; readonly failures: number }
  | {
      readonly _tag: "Both"
      readonly left: ReadonlyArray<Part>
      readonly right: ReadonlyArray<Part>
    }

const leaf: FastCheck.Arbitrary<Part> = FastCheck.oneof(
  FastCheck.constantFrom(
    "Step" as const,
    "Undone" as const,
    "Child" as const,
    "Sleep" as const,
    "Signal" as const
  ).map((_tag) => ({ _tag })),
  FastCheck.integer({ min: 1, max: 3 }).map((failures) => ({ _tag: "Retry" as const, failures }))
)
const branch = FastCheck.array(leaf, { minLength: 1, maxLength: 3 })
const part: FastCheck.Arbitrary<Part> = FastCheck.oneof(
  { weight: 4, arbitrary: leaf },
  {
    weight: 1,
    arbitrary: FastCheck.record({ left: branch, right: branch }).map((both) => ({
      _tag: "Both" as const,
      ...both
    }))
  }
)
const scenario = FastCheck.record({
  parts: FastCheck.array(part, { minLength: 1, maxLength: 5 }),
  end: FastCheck.constantFrom("succeeds", "fails", "is interrupted"),
  crashes: FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { maxLength: 3 })
})

const deferred = (name: string) => DurableDeferred.make(name)

const Child = textWorkflow("RandomChild")
const W = textWorkflow("Random")

/** Names of what the workflow does, by where it does it. */
const make = (parts: ReadonlyArray<Part>, end: string, log: Array<string>) => {
  const run = (
    parts: ReadonlyArray<Part>,
    at: string
  ): Effect.Effect<string, string, Env | Scope.Scope> =>
    Effect.map(
      Effect.forEach(parts, (part, n): Effect.Effect<string, string, Env | Scope.Scope> => {
        const name = `${at}${n}`
        switch (part._tag) {
          case "Step":
            return noted(log, name)
          case "Undone":
            return noted(log, name).pipe(
              Workflow.withCompensation(() => Effect.ignore(noted(log, `undo ${name}`)))
            )
          case "Child":
            return Child.execute({ id: name })
          case "Sleep":
            return Effect.as(DurableClock.sleep({ name, duration: "10 seconds" }), name)
          case "Signal":
            return Effect.as(DurableDeferred.await(deferred(name)), name)
          case "Retry":
            return step(
              name,
              Effect.gen(function* () {
                const attempt = yield* Activity.CurrentAttempt
                log.push(`${name} attempt ${attempt}`)
                return attempt > part.failures ? name : yield* Effect.fail("not yet")
              })
            ).pipe(Activity.retry({ times: 5 }))
          case "Both":
            return Effect.map(
              Effect.all([run(part.left, `${name}l`), run(part.right, `${name}r`)], {
                concurrency: "unbounded"
              }),
              (both) => both.join()
            )
        }
      }),
      (all) => all.join()
    )
  return Layer.merge(
    Child.toLayer(({ id }) => noted(log, `child ${id}`)),
    W.toLayer(() =>
      Effect.gen(function* () {
        const result = yield* run(parts, "p")
        if (end === "fails") return yield* Effect.fail("the end")
        if (end === "is interrupted") yield* DurableDeferred.await(deferred("never"))
        return result
      })
    )
  )
}

const signalNames = (parts: ReadonlyArray<Part>, at = "p"): ReadonlyArray<string> =>
  parts.flatMap((part, n) =>
    part._tag === "Signal"
      ? [`${at}${n}`]
      : part._tag === "Both"
        ? [...signalNames(part.left, `${at}${n}l`), ...signalNames(part.right, `${at}${n}r`)]
        : []
  )

/** Lets the run go on until it is over, whatever it waits for; or for so many rounds only. */
const drive = (runId: string, parts: ReadonlyArray<Part>, end: string, rounds: number) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const signals = signalNames(parts)
    for (let round = 0; round < rounds; round++) {
      yield* turns(4)
      const result = yield* W.poll(runId)
      if (result?._tag === "Complete") return result.exit
      const name = signals[round % Math.max(1, signals.length)]
      if (result?._tag === "Suspended") {
        if (name !== undefined) {
          yield* DurableDeferred.succeed(deferred(name), {
            token: DurableDeferred.tokenFromExecutionId(deferred(name), {
              workflow: W,
              executionId: runId
            }),
            value: undefined
          })
        }
        if (round % 3 === 2) yield* pass("10 seconds")
        if (end === "is interrupted" && round > 60 && (yield* store.nextWakeAt)._tag === "None") {
          yield* W.interrupt(runId)
        }
      }
    }
    return undefined
  })

const crashing = (parts: ReadonlyArray<Part>, end: string, crashes: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const forbidden: Array<{ readonly from: number; readonly names: ReadonlySet<string> }> = []
    const live = make(parts, end, log)
    const options = { leaseDuration: "1 hour" } as const
    let filename = yield* temporaryFile
    const runId = yield* W.execute({ id: "1" }, { discard: true }).pipe(
      inProcess(filename, Layer.empty)
    )
    for (const rounds of crashes) {
      const next = yield* temporaryFile
      const recorded = yield* Effect.gen(function* () {
        yield* drive(runId, parts, end, rounds)
        const store = yield* RunStore
        const found = yield* store.findWithSteps(runId)
        yield* copyInto(filename, next)
        return found._tag === "Some" ? found.value.steps : []
      }).pipe(inProcess(filename, live, options))
      const done = recorded
        .filter(({ status }) => status === "completed" || status === "failed")
        .flatMap(({ attempt, name }) => [name, `${name} attempt ${attempt}`])
      forbidden.push({ from: log.length, names: new Set(done) })
      filename = next
      yield* pass("2 hours")
    }
    const exit = yield* Effect.gen(function* () {
      yield* pass("1 hour")
      return yield* drive(runId, parts, end, 2_000)
    }).pipe(inProcess(filename, live, options))
    const repeated = forbidden.flatMap(({ from, names }) =>
      log.slice(from).filter((entry) => names.has(entry))
    )
    return { exit, repeated, log: new Set(log) }
  })

const sorted = (log: Iterable<string>) => [...log].sort()

describe("a random workflow", () => {
  it.scoped(
    "with crashes comes to the same end as without, and repeats no recorded step",
    () =>
      Effect.gen(function* () {
        const samples = FastCheck.sample(scenario, { numRuns: 8, seed: 42 })
        for (const { crashes, end, parts } of samples) {
          const calm = yield* crashing(parts, end, [])
          const stormy = yield* crashing(parts, end, crashes)
          const which = JSON.stringify({ parts, end, crashes })
          assert.isDefined(calm.exit, which)
          if (end === "is interrupted") {
            assert.isTrue(stormy.exit !== undefined && Exit.isInterrupted(stormy.exit), which)
          } else {
            assert.deepStrictEqual(stormy.exit, calm.exit, which)
          }
          assert.deepStrictEqual(sorted(stormy.log), sorted(calm.log), which)
          assert.deepStrictEqual(stormy.repeated, [], which)
        }
      }),
    120_000
  )
})
