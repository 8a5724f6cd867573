/**
 * A form for a JSON Schema: which fields it has, and what a field's value is. What no field stands
 * for is written as JSON.
 */

export type Field =
  | { readonly kind: "text"; readonly isLong: boolean }
  | { readonly kind: "number"; readonly isInteger: boolean }
  | { readonly kind: "boolean" }
  | { readonly kind: "choice"; readonly choices: ReadonlyArray<string | number | boolean | null> }
  | { readonly kind: "object"; readonly fields: ReadonlyArray<NamedField> }
  | { readonly kind: "list"; readonly item: Field }
  | { readonly kind: "nothing" }
  | { readonly kind: "json" }

export interface NamedField {
  readonly name: string
  readonly isRequired: boolean
  readonly description: string | undefined
  readonly field: Field
}

type Schema = Readonly<Record<string, unknown>>

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined)

const isChoice = (value: unknown): value is string | number | boolean | null =>
  value === null || ["string", "number", "boolean"].includes(typeof value)

/** Definitions may refer to each other without end. */
const deepest = 8

const resolve = (schema: Schema, root: Schema): Schema => {
  const name = textOf(schema.$ref)?.replace(/^#\/\$defs\//, "")
  if (name === undefined) return schema
  const definitions = root.$defs
  const found = isSchema(definitions) ? definitions[decodePointer(name)] : undefined
  return isSchema(found) ? found : {}
}

const decodePointer = (text: string) => {
  const plain = text.replaceAll("~1", "/").replaceAll("~0", "~")
  try {
    return decodeURIComponent(plain)
  } catch {
    return plain
  }
}

const choicesOf = (schema: Schema): ReadonlyArray<unknown> | undefined => {
  if (Array.isArray(schema.enum)) return schema.enum
  if ("const" in schema) return [schema.const]
  if (schema.type === "null") return [null]
  if (!Array.isArray(schema.anyOf)) return undefined
  const each = schema.anyOf.map((one) => (isSchema(one) ? choicesOf(one) : undefined))
  return each.every((choices) => choices !== undefined) ? each.flat() : undefined
}

const fieldOf = (given: unknown, root: Schema, depth: number): Field => {
  if (!isSchema(given) || depth > deepest) return { kind: "json" }
  const schema = resolve(given, root)
  if (schema.$id === "/schemas/void" || schema.$id === "/schemas/undefined") {
    return { kind: "nothing" }
  }
  const choices = choicesOf(schema)
  if (choices !== undefined) {
    return choices.every(isChoice) ? { kind: "choice", choices } : { kind: "json" }
  }
  if ("anyOf" in schema || "oneOf" in schema) return { kind: "json" }
  switch (schema.type) {
    case "string":
      return { kind: "text", isLong: false }
    case "number":
    case "integer":
      return { kind: "number", isInteger: schema.type === "integer" }
    case "boolean":
      return { kind: "boolean" }
    case "array":
      return isSchema(schema.items)
        ? { kind: "list", item: fieldOf(schema.items, root, depth + 1) }
        : { kind: "json" }
    case "object":
      return objectOf(schema, root, depth)
    default:
      return { kind: "json" }
  }
}

const objectOf = (schema: Schema, root: Schema, depth: number): Field => {
  // fields of any name are written as JSON
  if (!isSchema(schema.properties) || isSchema(schema.additionalProperties)) return { kind: "json" }
  const required: ReadonlyArray<unknown> = Array.isArray(schema.required) ? schema.required : []
  const fields = Object.entries(schema.properties).map(
    ([name, property]): NamedField => ({
      name,
      isRequired: required.includes(name),
      description: isSchema(property) ? descriptionOf(property) : undefined,
      field: fieldOf(property, root, depth + 1)
    })
  )
  return { kind: "object", fields }
}

const bounds = [
  ["minimum", "at least"],
  ["exclusiveMinimum", "more than"],
  ["maximum", "at most"],
  ["exclusiveMaximum", "less than"]
] as const

/** What the schema says of itself; else between which numbers the value is to be. */
const descriptionOf = (schema: Schema) => {
  const text = textOf(schema.description)
  if (text !== undefined) return text
  const said = bounds.flatMap(([keyword, words]) =>
    typeof schema[keyword] === "number" ? [`${words} ${schema[keyword]}`] : []
  )
  return said.length === 0 ? undefined : said.join(", ")
}

/** The field for the whole of what the schema describes. */
export const ofSchema = (schema: unknown): Field =>
  isSchema(schema) ? fieldOf(schema, schema, 0) : { kind: "json" }

/** What a form begins with. `undefined`: left out. */
export const initial = (field: Field): unknown => {
  switch (field.kind) {
    case "text":
      return ""
    case "boolean":
      return false
    case "choice":
      return field.choices[0]
    case "list":
      return []
    case "nothing":
      return null
    case "number":
    case "json":
      return undefined
    case "object":
      return Object.fromEntries(
        field.fields
          .filter(({ isRequired }) => isRequired)
          .map(({ field, name }) => [name, initial(field)])
      )
  }
}

/** Whether a value can be shown, and changed, in the field: one that came from elsewhere may not. */
export const fits = (field: Field, value: unknown): boolean => {
  switch (field.kind) {
    case "text":
      return typeof value === "string"
    case "number":
      return value === undefined || typeof value === "number"
    case "boolean":
      return typeof value === "boolean"
    case "choice":
      return field.choices.some((choice) => choice === value)
    case "list":
      return Array.isArray(value) && value.every((item) => fits(field.item, item))
    case "nothing":
      return value === null || value === undefined
    case "json":
      return true
    case "object":
      return (
        isSchema(value) &&
        Object.entries(value).every(([name, part]) =>
          field.fields.some((one) => one.name === name && fits(one.field, part))
        )
      )
  }
}
