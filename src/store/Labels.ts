/** What runs are marked with: tags and attributes, as one kind of text each. */
import * as Predicate from "effect/Predicate"
import type { Json, Labels } from "./RunStore.js"

/** As they are looked up: no tag is an attribute. */
export const texts = ({ attributes = {}, tags = [] }: Labels): ReadonlyArray<string> => [
  ...new Set([
    ...tags.map((tag) => JSON.stringify([tag])),
    ...Object.entries(attributes).map((attribute) => JSON.stringify(attribute))
  ])
]

/** As they are kept with the run; `undefined` where there are none. */
export const toJson = ({ attributes = {}, tags = [] }: Labels): Json | undefined =>
  tags.length === 0 && Object.keys(attributes).length === 0
    ? undefined
    : JSON.stringify({ tags, attributes })

const isAttribute = (value: unknown): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"

export const fromJson = (json: Json | null): Labels => {
  if (json === null) return {}
  const parsed: unknown = JSON.parse(json)
  if (!Predicate.isReadonlyRecord(parsed)) return {}
  const { attributes, tags } = parsed
  return {
    ...(Array.isArray(tags) && tags.length > 0 ? { tags: tags.filter(Predicate.isString) } : {}),
    ...(Predicate.isReadonlyRecord(attributes) && Object.keys(attributes).length > 0
      ? {
          attributes: Object.fromEntries(
            Object.entries(attributes).flatMap(([name, value]) =>
              isAttribute(value) ? [[name, value]] : []
            )
          )
        }
      : {})
  }
}
