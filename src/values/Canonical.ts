import * as Predicate from "effect/Predicate"

/** The same text for the same JSON, in whatever order its fields are; `{}` for none. */
export const canonical = (value: unknown): string => JSON.stringify(sorted(value)) ?? "{}"

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (!Predicate.isRecord(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])])
  )
}
