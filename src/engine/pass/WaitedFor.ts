/**
 * What a suspended run waits for, as it is recorded with its suspension: for people, and for nothing
 * that the engine decides.
 */
import * as Predicate from "effect/Predicate"
import type { Json, Millis } from "../../store/RunStore.js"

/** One that it waits for; `until` is when it goes on by itself. */
export interface WaitedFor {
  readonly type: "signal" | "timer" | "child"
  /** Name of the signal or the timer, or the child's run id. */
  readonly name: string
  readonly since: Millis
  readonly until?: Millis | undefined
}

export interface Recorded {
  /** How many there are. */
  readonly total: number
  /** The first of them. */
  readonly first: ReadonlyArray<WaitedFor>
}

/** So many are recorded, of however many a run waits for. */
export const maxRecorded = 20

/** Longer names are cut. */
export const maxName = 200

const nothing: Recorded = { total: 0, first: [] }

const isWaitedFor = (u: unknown): u is WaitedFor =>
  Predicate.isReadonlyRecord(u) &&
  (u.type === "signal" || u.type === "timer" || u.type === "child") &&
  typeof u.name === "string" &&
  typeof u.since === "number" &&
  (u.until === undefined || typeof u.until === "number")

/** Never fails: what does not read is nothing. */
export const parse = (json: Json | undefined): Recorded => {
  if (json === undefined) return nothing
  try {
    const read: unknown = JSON.parse(json)
    if (!Predicate.isReadonlyRecord(read) || !Array.isArray(read.first)) return nothing
    const first = read.first.filter(isWaitedFor)
    return { total: typeof read.total === "number" ? read.total : first.length, first }
  } catch {
    return nothing
  }
}

export const stringify = (recorded: Recorded): Json | undefined =>
  recorded.total === 0 ? undefined : JSON.stringify(recorded)
