/**
 * What workflows that are async functions take and give: any JSON.
 */
import * as Schema from "effect/Schema"

/**
 * Nothing in a list is `null`, as `JSON.stringify` has it: `Promise.all` of steps that return nothing
 * is such a list. What else JSON does not have is left to whoever records the value, and refuses it.
 */
export const withNulls = (value: unknown): unknown => {
  try {
    return copied(value)
  } catch {
    // a cycle: whoever records it says so
    return value
  }
}

const copied = (value: unknown): unknown => {
  if (Array.isArray(value)) return Array.from(value, (item) => copied(item ?? null))
  return isPlain(value)
    ? Object.fromEntries(Object.entries(value).map(([key, field]) => [key, copied(field)]))
    : value
}

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null || "toJSON" in value) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Any JSON. */
export const AnyJson: Schema.Schema<unknown> = Schema.transform(Schema.Unknown, Schema.Unknown, {
  strict: true,
  decode: (value) => value,
  encode: withNulls
})
