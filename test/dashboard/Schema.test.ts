/** Forms from the JSON Schemas that Effect makes, and numbers that arrive as they are written. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import { inexactNumber, isExact, mayBeRounded } from "../../src/dashboard/schema/ExactNumbers.js"
import { fits, initial, ofSchema } from "../../src/dashboard/schema/Fields.js"

const fieldOf = (schema: Schema.Schema.Any) => ofSchema(JSONSchema.make(schema))

describe("a form", () => {
  it("has a field for each that the schema has, and knows which may be left out", () => {
    const field = fieldOf(
      Schema.Struct({
        id: Schema.String,
        count: Schema.Int.pipe(Schema.between(1, 9)),
        ratio: Schema.Number,
        gift: Schema.Boolean,
        speed: Schema.Literal("slow", "fast"),
        tags: Schema.Array(Schema.String),
        due: Schema.optional(Schema.Date),
        anything: Schema.optional(Schema.Unknown)
      })
    )
    if (field.kind !== "object") return assert.fail(field.kind)
    assert.deepStrictEqual(
      field.fields.map(({ field, isRequired, name }) => [name, field.kind, isRequired]),
      [
        ["id", "text", true],
        ["count", "number", true],
        ["ratio", "number", true],
        ["gift", "boolean", true],
        ["speed", "choice", true],
        ["tags", "list", true],
        ["due", "text", false],
        ["anything", "json", false]
      ]
    )
    assert.strictEqual(field.fields[1]?.description, "a number between 1 and 9")
    const plain = ofSchema({ type: "object", properties: { n: { type: "number", minimum: 2 } } })
    assert.deepInclude(plain, {
      fields: [
        {
          name: "n",
          isRequired: false,
          description: "at least 2",
          field: { kind: "number", isInteger: false }
        }
      ]
    })
    assert.deepStrictEqual(initial(field), {
      id: "",
      count: undefined,
      ratio: undefined,
      gift: false,
      speed: "slow",
      tags: []
    })
  })

  it("ends where a schema goes on for ever", () => {
    interface Tree {
      readonly name: string
      readonly children: ReadonlyArray<Tree>
    }
    const Tree: Schema.Schema<Tree> = Schema.Struct({
      name: Schema.String,
      children: Schema.Array(Schema.suspend(() => Tree))
    }).annotations({ identifier: "Tree" })
    const field = fieldOf(Tree)
    assert.strictEqual(field.kind, "object")
    assert.isTrue(fits(field, { name: "a", children: [{ name: "b", children: [] }] }))
  })

  it("leaves to JSON what no field stands for", () => {
    for (const schema of [
      Schema.Union(Schema.String, Schema.Number),
      Schema.Record({ key: Schema.String, value: Schema.Number }),
      Schema.Tuple(Schema.String, Schema.Number),
      Schema.Unknown
    ]) {
      assert.strictEqual(fieldOf(schema).kind, "json")
    }
    for (const nothing of [{}, undefined, null, true, "x", { $ref: "#/$defs/Nowhere" }]) {
      assert.strictEqual(ofSchema(nothing).kind, "json")
    }
    assert.strictEqual(fieldOf(Schema.Void).kind, "nothing")
  })

  it("is not offered for a value that it cannot show", () => {
    const field = fieldOf(Schema.Struct({ id: Schema.String }))
    assert.isTrue(fits(field, { id: "a" }))
    assert.isFalse(fits(field, { id: 1 }))
    assert.isFalse(fits(field, { id: "a", more: true }))
    assert.isFalse(fits(field, null))
  })
})

describe("a number", () => {
  it("is exact as far as it is written the same again", () => {
    for (const text of [
      "0",
      "-1",
      "1.50",
      "0.1",
      "1e3",
      "1E-7",
      "9007199254740992",
      "100000000000000000000"
    ]) {
      assert.isTrue(isExact(text), text)
    }
    for (const text of [
      "9007199254740993",
      "12345678901234567890",
      "0.1234567890123456789",
      "1e400"
    ]) {
      assert.isFalse(isExact(text), text)
    }
  })

  it("is found wherever in JSON it is, and not in its texts", () => {
    assert.strictEqual(
      inexactNumber('{"a":[1,{"b":12345678901234567890}]}'),
      "12345678901234567890"
    )
    assert.isUndefined(inexactNumber('{"12345678901234567890":"\\"12345678901234567890"}'))
  })

  it("may have been rounded where it is whole and beyond 2^53", () => {
    for (const value of [2 ** 53, -(2 ** 53), 12345678901234567000, 1e21]) {
      assert.isTrue(mayBeRounded(value), String(value))
    }
    for (const value of [0, -0, 0.1, 2 ** 53 - 1, 1.5, "9007199254740993", null]) {
      assert.isFalse(mayBeRounded(value), String(value))
    }
  })

  it("that JavaScript writes is always exact", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.double({ noNaN: true, noDefaultInfinity: true }), (value) =>
        isExact(String(value))
      )
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue(), (value) => {
        assert.isUndefined(inexactNumber(JSON.stringify(value)))
      })
    )
  })
})
