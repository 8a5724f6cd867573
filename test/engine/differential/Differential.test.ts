/**
 * Random programs come to the same outcome on this engine as by plain interpretation, undisturbed
 * and with drains, kills, evictions and pauses at random points. See `Program.ts` for what a program is.
 *
 * By the environment:
 *
 * - `DIFFERENTIAL_PROGRAMS`: how many programs. Default: 200.
 * - `DIFFERENTIAL_SEED`: which. Default: 9. A failure says its seed.
 * - `DIFFERENTIAL_ONLY`: the nodes that programs are made of, by their tags with commas between.
 * - `DIFFERENTIAL_KINDS`: likewise of disturbances.
 * - `DIFFERENTIAL_REPLAY`: a scenario as JSON, as a failure has printed it: nothing else is run.
 *
 * 20,000 of them take a while:
 *
 *     DIFFERENTIAL_PROGRAMS=20000 DIFFERENTIAL_SEED=$RANDOM \
 *       npx vitest run test/engine/differential
 *
 * With `TMPDIR=/dev/shm`, if there is one, they take a third less.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestContext from "effect/TestContext"
import { Dispatcher } from "../../../src/engine/held/Dispatcher.js"
import { RunStore } from "../../../src/store/RunStore.js"
import * as Disturbed from "./Disturbed.js"
import { type Expected, expected } from "./Model.js"
import * as Plain from "./Plain.js"
import {
  type Disturbance,
  type Node,
  programsAtATime,
  type Scenario,
  scenarios
} from "./Program.js"

const step: Node = { _tag: "Step", how: "succeeds", takes: 0 }

/** What waits in memory is let go. */
const evict: Disturbed.Options["evict"] = Effect.flatMap(Dispatcher, ({ runs }) => runs.evictAll)

const eachWorkflow = (
  act: (store: RunStore["Type"], workflow: string) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const workflows = yield* Effect.flatMap(Dispatcher, ({ workflows }) => workflows)
    for (const { name } of workflows) yield* Effect.orDie(act(store, name))
  })

const park: Disturbed.Options["park"] = {
  begin: eachWorkflow((store, workflow) => store.pauseWorkflow({ workflow, parks: true })),
  end: eachWorkflow((store, workflow) => store.resumeWorkflow(workflow))
}

/** What is wrong with how the engine executes them. */
const problemsOf = ({ disturbances, patient, programs }: Scenario) =>
  Effect.gen(function* () {
    const models = programs.flatMap((program) => expected(program) ?? [])
    if (models.length < programs.length) return ["the model does not know what it comes to"]
    const wrong = (when: string, of: (model: Expected, n: number) => ReadonlyArray<string>) =>
      models.flatMap((model, n) =>
        of(model, n).map((problem) => `program ${n}, ${when}: ${problem}`)
      )
    const calm = yield* Disturbed.run(programs, [])
    const problems = wrong("undisturbed", (model, n) => [
      ...Disturbed.problems(model, calm[n]!),
      ...Disturbed.repeated(model, calm[n]!)
    ])
    if (problems.length > 0) return problems
    const stormy = yield* Disturbed.run(programs, disturbances, { patient, evict, park })
    return wrong("disturbed", (model, n) => Disturbed.problems(model, stormy[n]!))
  }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext))

/** What is wrong with the model, if Effect itself executes them. */
const plainProblemsOf = ({ programs }: Scenario) =>
  Effect.gen(function* () {
    const reports = yield* Disturbed.runOn(programs, Plain.layer)
    return programs.flatMap((program, n) => {
      const model = expected(program)
      return model === undefined ? [] : Disturbed.problems(model, reports[n]!)
    })
  }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext))

const listOf = (variable: string) => process.env[variable]?.split(",").filter((one) => one !== "")

const isKind = (kind: string): kind is Disturbance["kind"] =>
  kind === "drain" || kind === "kill" || kind === "evict" || kind === "park"

const count = Number(process.env.DIFFERENTIAL_PROGRAMS ?? 200)
const seed = Number(process.env.DIFFERENTIAL_SEED ?? 9)
const only = listOf("DIFFERENTIAL_ONLY")
const kinds = listOf("DIFFERENTIAL_KINDS")?.filter(isKind)
const replay = process.env.DIFFERENTIAL_REPLAY

/** Fails with the smallest scenario that has problems. */
const check = async (
  problemsOf: (scenario: Scenario) => Effect.Effect<ReadonlyArray<string>, unknown>,
  programs: number
) => {
  const choice = { only: only === undefined ? undefined : new Set(only), kinds }
  const property = FastCheck.asyncProperty(
    scenarios((program) => expected(program) !== undefined, choice),
    async (scenario) => {
      const problems = await Effect.runPromise(problemsOf(scenario))
      if (problems.length > 0) throw new Error(problems.join("\n"))
    }
  )
  const numRuns = Math.ceil(programs / programsAtATime)
  const found = await FastCheck.check(property, { numRuns, seed })
  if (!found.failed) return
  const scenario = found.counterexample?.[0]
  const problems = scenario === undefined ? [] : await Effect.runPromise(problemsOf(scenario))
  const after = found.numRuns * programsAtATime
  assert.fail(
    [
      `after ${after} programs of seed ${found.seed}, made smaller ${found.numShrinks} times:`,
      JSON.stringify(scenario),
      ...(problems.length > 0 ? problems : [`not again, but: ${found.error}`])
    ].join("\n")
  )
}

describe("a random program", () => {
  it.runIf(replay !== undefined)("replayed", async () => {
    // as this test has printed it
    const scenario = JSON.parse(replay ?? "") as Scenario
    assert.deepStrictEqual(await Effect.runPromise(problemsOf(scenario)), [])
  })

  it.runIf(replay === undefined)(
    "comes in plain Effect to what the model says",
    { timeout: 120_000 + count * 500 },
    () => check(plainProblemsOf, count)
  )

  it.runIf(replay === undefined)(
    "comes to the same outcome as by plain interpretation, whatever happens to its process",
    { timeout: 120_000 + count * 500 },
    () => check(problemsOf, count)
  )
})

/** Made smaller from what was found once, all on 0.1.0. */
const found: Readonly<Record<string, Scenario>> = {
  "a handler of a branch with a timeout does not see a drain": {
    programs: [
      {
        node: {
          _tag: "Handle",
          by: "exit",
          node: { _tag: "Timeout", node: { _tag: "Seq", nodes: [step, step] } },
          next: step
        },
        end: "succeeds"
      }
    ],
    disturbances: [{ kind: "drain", after: 0 }],
    patient: true
  },
  "a finalizer's step is executed though the workflow dies while the process drains": {
    programs: [
      {
        node: { _tag: "Ensuring", by: "step", node: { _tag: "Step", how: "dies", takes: 0 } },
        end: "succeeds"
      }
    ],
    disturbances: [{ kind: "drain", after: 0 }],
    patient: true
  },
  "a release's step is executed though the use fails while the process drains": {
    programs: [
      {
        node: {
          _tag: "Acquire",
          acquire: "plain",
          release: "step",
          node: { _tag: "Step", how: "fails", takes: 0 }
        },
        end: "succeeds"
      }
    ],
    disturbances: [{ kind: "drain", after: 0 }],
    patient: true
  },
  "a branch of a race that a drain stops has not lost it": {
    programs: [
      {
        node: {
          _tag: "Race",
          by: "race",
          left: { _tag: "Step", how: "fails", takes: 0 },
          right: { _tag: "Seq", nodes: [step, step] }
        },
        end: "succeeds"
      }
    ],
    disturbances: [{ kind: "drain", after: 0 }],
    patient: true
  },
  "a branch of a race that waits has not lost it": {
    programs: [
      {
        node: {
          _tag: "Race",
          by: "durable",
          left: { _tag: "Step", how: "fails", takes: 0 },
          right: { _tag: "Signal", how: "succeeds" }
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a compensation of a branch of a durable race may wait": {
    programs: [
      {
        node: {
          _tag: "Race",
          by: "durable",
          left: { _tag: "Step", how: "succeeds", takes: 1 },
          right: {
            _tag: "Seq",
            nodes: [
              { _tag: "Undo", undo: "sleep", takes: 0 },
              { _tag: "Step", how: "fails", takes: 0 }
            ]
          }
        },
        end: "dies"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a branch is given what a branch of a branch gives": {
    programs: [
      {
        node: {
          _tag: "Gate",
          by: "into",
          giver: { _tag: "Gate", by: "into", giver: step, next: step },
          next: step
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a handler of a branch with a timeout does not see it suspend": {
    programs: [
      {
        node: {
          _tag: "Handle",
          by: "catchAllCause",
          node: { _tag: "Timeout", node: { _tag: "Sleep", how: "short" } },
          next: step
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a handler of a workflow with a fork does not see it suspend": {
    programs: [
      {
        node: {
          _tag: "Handle",
          by: "catchAllCause",
          node: { _tag: "ForkJoin", branch: { _tag: "Sleep", how: "short" }, node: step },
          next: step
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a workflow ends while a branch in the background waits": {
    programs: [
      {
        node: {
          _tag: "ForkScoped",
          own: true,
          branch: { _tag: "Never", how: "signal" },
          node: { _tag: "Undo", undo: "plain", takes: 0 }
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a branch fails though another waits": {
    programs: [
      {
        node: {
          _tag: "All",
          by: "forEach",
          concurrency: "unbounded",
          nodes: [
            {
              _tag: "All",
              by: "all",
              concurrency: "unbounded",
              nodes: [{ _tag: "Step", how: "fails", takes: 0 }]
            },
            { _tag: "Never", how: "sleep" }
          ]
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  },
  "a child is started beside a branch that waits": {
    programs: [
      {
        node: {
          _tag: "All",
          by: "forEach",
          concurrency: "unbounded",
          nodes: [
            { _tag: "Child", end: "fails", node: step },
            { _tag: "Never", how: "sleep" }
          ]
        },
        end: "succeeds"
      }
    ],
    disturbances: [],
    patient: true
  }
}

describe.runIf(replay === undefined)("once found", () => {
  for (const [what, scenario] of Object.entries(found)) {
    it(what, async () => {
      assert.deepStrictEqual(await Effect.runPromise(plainProblemsOf(scenario)), [])
      assert.deepStrictEqual(await Effect.runPromise(problemsOf(scenario)), [])
    })
  }
})
