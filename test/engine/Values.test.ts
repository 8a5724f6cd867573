/** What does not survive the way to the record and back fails where it is made, by name. */

import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Runs from "../../src/runner/Runs.js"
import { isJson, notJsonIn } from "../../src/values/JsonValue.js"
import {
  type Env,
  exitOf,
  layerFile,
  layerMemory,
  register,
  temporaryFile,
  untilSuspended
} from "./support.js"

const layers = {
  memory: layerMemory(),
  file: Layer.unwrapScoped(Effect.map(temporaryFile, (filename) => layerFile(filename)))
}

const defect = (exit: Exit.Exit<unknown, unknown> | undefined): string =>
  exit !== undefined && Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "no failure"

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String, at: Schema.optional(Schema.DateFromSelf) },
  success: Schema.Unknown,
  error: Schema.Unknown,
  idempotencyKey: ({ id }) => id
})

/** It writes what it does not read. */
const OneWay = Schema.transformOrFail(Schema.String, Schema.String, {
  strict: true,
  decode: (text, _, ast) => ParseResult.fail(new ParseResult.Type(ast, text, "not read again")),
  encode: ParseResult.succeed
})

const steps: ReadonlyArray<
  readonly [what: string, activity: Effect.Effect<unknown, unknown, Env>, says: string]
> = [
  [
    "NaN",
    Activity.make({ name: "s", success: Schema.Number, execute: Effect.succeed(NaN) }),
    "JSON has no NaN"
  ],
  [
    "Infinity in a field, where anything goes",
    Activity.make({
      name: "s",
      success: Schema.Unknown,
      execute: Effect.succeed({ a: { "b c": [1, Infinity] } })
    }),
    'JSON has no Infinity (at a["b c"][1])'
  ],
  [
    "undefined in a list",
    Activity.make({
      name: "s",
      success: Schema.Array(Schema.UndefinedOr(Schema.Number)),
      execute: Effect.succeed([1, undefined])
    }),
    "JSON has no undefined (at [1])"
  ],
  [
    "a Map",
    Activity.make({
      name: "s",
      success: Schema.Unknown,
      execute: Effect.succeed({ all: new Map([[1, 2]]) })
    }),
    "JSON has no Map (at all)"
  ],
  [
    "a date, which its schema does not make a text",
    Activity.make({
      name: "s",
      success: Schema.DateFromSelf,
      execute: Effect.succeed(new Date(0))
    }),
    "its schema does not read what it has written"
  ],
  [
    "what its schema writes and does not read",
    Activity.make({ name: "s", success: OneWay, execute: Effect.succeed("x") }),
    "not read again"
  ],
  [
    "NaN as its error",
    Activity.make({ name: "s", error: Schema.Number, execute: Effect.fail(NaN) }),
    "JSON has no NaN (at error)"
  ],
  [
    "undefined in its error",
    Activity.make({
      name: "s",
      error: Schema.Struct({ of: Schema.Array(Schema.Unknown) }),
      execute: Effect.fail({ of: [undefined] })
    }),
    "JSON has no undefined (at error.of[0])"
  ]
]

for (const [name, layer] of Object.entries(layers)) {
  describe(`a value that does not come back from its record, ${name}`, () => {
    for (const [what, activity, says] of steps) {
      it.effect(`fails the step that has come to it: ${what}`, () =>
        Effect.gen(function* () {
          yield* register(W.toLayer(() => activity))
          const runId = yield* W.execute({ id: "1" }, { discard: true })
          const message = defect(yield* exitOf(W, runId))
          assert.include(message, 'the outcome of step "s" of workflow "W" cannot be recorded')
          assert.include(message, says)
          const run = yield* Effect.flatMap(Runs.Runs, (runs) => runs.get(runId))
          assert.deepStrictEqual(
            [run.status, run.steps.map(({ status }) => status)],
            ["failed", ["failed"]]
          )
        }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
      )
    }

    it.effect("is none where the schema says that nobody looks at it", () =>
      Effect.gen(function* () {
        const V = Workflow.make({ name: "V", payload: {}, idempotencyKey: () => "1" })
        const Done = DurableDeferred.make("Done")
        const cycle: { self?: unknown } = {}
        cycle.self = cycle
        const values: ReadonlyArray<unknown> = [[undefined], NaN, new Map(), () => 1, cycle, 1n]
        const steps = values.map((value, index) =>
          Activity.make({ name: `s${index}`, execute: Effect.succeed(value as never) })
        )
        yield* register(
          V.toLayer((_, runId) =>
            Effect.gen(function* () {
              yield* Effect.all(steps)
              const token = DurableDeferred.tokenFromExecutionId(Done, {
                workflow: V,
                executionId: runId
              })
              yield* DurableDeferred.succeed(Done, { token, value: [undefined] as never })
              yield* DurableDeferred.await(Done)
              return values as never
            })
          )
        )
        const runId = yield* V.execute({} as never, { discard: true })
        assert.deepStrictEqual(yield* exitOf(V, runId), Exit.void)
        const run = yield* Effect.flatMap(Runs.Runs, (runs) => runs.get(runId))
        assert.isTrue(run.steps.every(({ status }) => status === "completed"))
        assert.lengthOf(run.steps, values.length)
      }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
    )

    it.effect("fails the run that has come to it", () =>
      Effect.gen(function* () {
        yield* register(
          W.toLayer(({ id }) =>
            id === "fails" ? Effect.fail({ ratio: 1 / 0 }) : Effect.succeed({ mean: 0 / 0 })
          )
        )
        const of = Effect.fnUntraced(function* (id: string) {
          const runId = yield* W.execute({ id }, { discard: true })
          return defect(yield* exitOf(W, runId))
        })
        const result = 'the result of workflow "W" cannot be recorded as JSON: JSON has no'
        assert.include(yield* of("succeeds"), `${result} NaN (at mean)`)
        assert.include(yield* of("fails"), `${result} Infinity (at error.ratio)`)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.effect("is refused as a payload, and no run is there", () =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const P = Workflow.make({
          name: "P",
          payload: { n: Schema.Number, at: Schema.optional(Schema.DateFromSelf) },
          idempotencyKey: () => "1"
        })
        yield* register(P.toLayer(() => Effect.void))
        const payload = 'the payload of workflow "P" cannot be stored as JSON:'
        const nan = yield* Effect.exit(P.execute({ n: NaN }))
        assert.include(defect(nan), `${payload} JSON has no NaN (at n)`)
        const date = yield* Effect.exit(P.execute({ n: 1, at: new Date(0) }))
        assert.include(defect(date), `${payload} its schema does not read what it has written`)
        const asked = yield* Effect.flip(runs.start({ workflow: "P", payload: { n: NaN } }))
        assert.strictEqual(asked._tag, "InvalidPayload")
        assert.include(asked.message, "JSON has no NaN (at n)")
        assert.deepStrictEqual((yield* runs.list()).runs, [])
      }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
    )

    it.effect("is refused as a signal, and the run waits on", () =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const Go = DurableDeferred.make("Go", { success: Schema.Number })
        yield* register(W.toLayer(() => DurableDeferred.await(Go)))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        const refused = yield* Effect.flip(runs.signal({ runId, name: "Go", value: NaN }))
        assert.strictEqual(refused._tag, "InvalidSignal")
        assert.include(refused.message, "JSON has no NaN")
        const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: W, executionId: runId })
        const died = yield* Effect.exit(DurableDeferred.succeed(Go, { token, value: 1 / 0 }))
        assert.include(
          defect(died),
          'the signal "Go" cannot be stored as JSON: JSON has no Infinity'
        )
        yield* DurableDeferred.succeed(Go, { token, value: 5 })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed(5))
      }).pipe(Effect.scoped, Effect.provide(Runs.layer), Effect.provide(layer))
    )
  })
}

describe("what JSON has", () => {
  const toldAs = (told: unknown) => ({ toJSON: () => told })
  class Point {
    constructor(
      readonly x: number,
      readonly y: number
    ) {}
  }

  it("is what comes back", () => {
    for (const value of [
      null,
      "",
      "half \ud83d",
      -0,
      1e308,
      true,
      [],
      [null, [{}]],
      { a: undefined, b: { c: [1] } },
      Object.create(null),
      new Date(0),
      new Point(1, 2),
      toldAs({ a: 1 })
    ]) {
      assert.isTrue(isJson(value))
      assert.isUndefined(notJsonIn(value))
    }
  })

  it("is told from what it has not, by its place", () => {
    const cases: ReadonlyArray<readonly [value: unknown, told: string]> = [
      [NaN, "NaN"],
      [-1 / 0, "-Infinity"],
      [undefined, "undefined"],
      [new Array(1), "undefined (at [0])"],
      [{ a: [{ b: NaN }] }, "NaN (at a[0].b)"],
      [{ "a b": () => 1 }, 'function (at ["a b"])'],
      [{ a: 1n }, "bigint (at a)"],
      [{ a: Symbol("b") }, "symbol (at a)"],
      [{ a: new Set() }, "Set (at a)"],
      [{ a: new Uint8Array(1) }, "Uint8Array (at a)"],
      [{ a: new TypeError("b") }, "TypeError: b (at a)"],
      [{ a: new Date(NaN) }, "invalid Date (at a)"],
      [new Point(1, NaN), "NaN (at y)"],
      [{ a: toldAs(NaN) }, "Object (at a)"]
    ]
    for (const [value, told] of cases) assert.strictEqual(notJsonIn(value), told)
  })
})
