/**
 * Where the next page begins, as clients are told it: text that means something to this API alone.
 */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { StepCursor } from "../store/RunStore.js"

const decode = (cursor: string): string =>
  Either.getOrElse(Encoding.decodeBase64UrlString(cursor), () => "")

const ofRunsPattern = /^runs:(\d{1,15})$/

export const ofRuns = (position: number): string => Encoding.encodeBase64Url(`runs:${position}`)

/** `undefined`: it did not come from a page of runs. */
export const toRuns = (cursor: string): number | undefined => {
  const position = ofRunsPattern.exec(decode(cursor))?.[1]
  return position === undefined ? undefined : Number(position)
}

const ofStepsPattern = /^steps:(\d{1,16}):(\d{1,16})$/

export const ofSteps = ({ position, startedAt }: StepCursor): string =>
  Encoding.encodeBase64Url(`steps:${startedAt}:${position}`)

/** `undefined`: it did not come from a page of steps. */
export const toSteps = (cursor: string): StepCursor | undefined => {
  const [, startedAt, position] = ofStepsPattern.exec(decode(cursor)) ?? []
  return startedAt === undefined || position === undefined
    ? undefined
    : { startedAt: Number(startedAt), position: Number(position) }
}
