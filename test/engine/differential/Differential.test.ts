/**
 * Random programs come to the same outcome on this engine as by plain interpretation, undisturbed
 * and with drains, kills and evictions at random points. See `Program.ts` for what a program is.
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
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestContext from "effect/TestContext"
import * as Disturbed from "./Disturbed.js"
import { type Expected, expected } from "./Model.js"
import * as Plain from "./Plain.js"
import { type Disturbance, programsAtATime, type Scenario, scenarios } from "./Program.js"

/** What an eviction is, besides a drain. */
const evict: Disturbed.Options["evict"] = undefined

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
    const stormy = yield* Disturbed.run(programs, disturbances, { patient, evict })
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
  kind === "drain" || kind === "kill" || kind === "evict"

const count = Number(process.env.DIFFERENTIAL_PROGRAMS ?? 200)
const seed = Number(process.env.DIFFERENTIAL_SEED ?? 9)
const only = listOf("DIFFERENTIAL_ONLY")
const kinds = listOf("DIFFERENTIAL_KINDS")?.filter(isKind)
const replay = process.env.DIFFERENTIAL_REPLAY

/** Scenarios that have gone wrong once. */
const replays: ReadonlyArray<Scenario> =
  replay === undefined
    ? []
    : // as this test has printed it
      [JSON.parse(replay) as Scenario]

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
  it.runIf(replays.length > 0)("replayed", async () => {
    for (const scenario of replays) {
      assert.deepStrictEqual(await Effect.runPromise(problemsOf(scenario)), [])
    }
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
