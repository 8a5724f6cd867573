/** How large the values are that are stored: payloads, outcomes of steps, results, signals. */
import { Buffer } from "node:buffer"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import type { Json } from "../store/RunStore.js"

/** The value is larger than this executor stores. */
export class ValueTooLarge extends Data.TaggedError("ValueTooLarge")<{
  /** Bytes that it has, as JSON in UTF-8. */
  readonly size: number
  /** Bytes that it may have: `RunnerConfig.maxValueSize`. */
  readonly limit: number
}> {
  override get message() {
    return `it has ${this.size} bytes, and at most ${this.limit} are allowed (MAX_VALUE_SIZE)`
  }
}

/** The text, if it has at most so many bytes. */
export const bounded =
  (limit: number) =>
  (json: Json): Either.Either<Json, ValueTooLarge> => {
    // no character has more than three bytes for each of its code units
    if (json.length * 3 <= limit) return Either.right(json)
    const size = Buffer.byteLength(json)
    return size <= limit ? Either.right(json) : Either.left(new ValueTooLarge({ size, limit }))
  }

export type Bounded = ReturnType<typeof bounded>
