/** What a run is started with: looked at, and as it is stored. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import {
  InvalidOptions,
  type Labels,
  maxAttributeLength,
  maxLabelLength,
  maxLabels,
  type StartOptions,
  toBody
} from "../../api/StartOptions.js"
import type { Millis, RunOptions } from "../../store/RunStore.js"
import { isWellFormed } from "../../values/WellFormed.js"

const maxPriority = 1_000_000

/** The longest timeout, and how far off a run may begin: a hundred years. */
const longest = Duration.days(36_525)

const short = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)

const problemOfTag = (tag: string): string | undefined =>
  tag.length === 0 || tag.length > maxLabelLength || !isWellFormed(tag)
    ? `the tag ${short(tag)} has ${tag.length} characters; 1 to ${maxLabelLength} are allowed, without half of a surrogate pair`
    : undefined

const problemOfAttribute = (name: string, value: unknown): string | undefined => {
  if (name.length === 0 || name.length > maxLabelLength || !isWellFormed(name)) {
    return `the attribute name ${short(name)} has ${name.length} characters; 1 to ${maxLabelLength} are allowed, without half of a surrogate pair`
  }
  switch (typeof value) {
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `the attribute ${short(name)} is ${value}`
    case "string":
      return value.length > maxAttributeLength || !isWellFormed(value)
        ? `the attribute ${short(name)} has ${value.length} characters; at most ${maxAttributeLength} are allowed, without half of a surrogate pair`
        : undefined
    default:
      return `the attribute ${short(name)} is ${typeof value}; a string, a number or a boolean is allowed`
  }
}

/** What is wrong with them, if anything is. */
const problemOfLabels = ({ attributes = {}, tags = [] }: Labels): string | undefined => {
  const all = Object.entries(attributes)
  if (tags.length > maxLabels) return `${tags.length} tags; at most ${maxLabels} are allowed`
  if (all.length > maxLabels) return `${all.length} attributes; at most ${maxLabels} are allowed`
  for (const tag of tags) {
    const problem = problemOfTag(tag)
    if (problem !== undefined) return problem
  }
  for (const [name, value] of all) {
    const problem = problemOfAttribute(name, value)
    if (problem !== undefined) return problem
  }
  return undefined
}

const problemOf = ({ ignorePayload, onConflict, priority, ...options }: StartOptions) => {
  if (options.startAt !== undefined && options.delay !== undefined) {
    return "startAt and delay: one of the two says when it begins"
  }
  if (
    priority !== undefined &&
    !(Number.isInteger(priority) && Math.abs(priority) <= maxPriority)
  ) {
    return `priority: ${priority} is not a whole number from -${maxPriority} to ${maxPriority}`
  }
  if (ignorePayload === true && onConflict !== undefined && onConflict !== "use") {
    return `ignorePayload goes with onConflict "use", and not with ${JSON.stringify(onConflict)}`
  }
  return problemOfLabels(options)
}

/** As they are stored; times are counted from now on. */
export const resolve = (
  options: StartOptions,
  now: Millis
): Either.Either<RunOptions, InvalidOptions> => {
  const invalid = (message: string) => Either.left(new InvalidOptions({ message }))
  const problem = problemOf(options)
  if (problem !== undefined) return invalid(problem)
  const told = toBody(options)
  if ("problem" in told) return invalid(told.problem)
  const { attributes, delay, priority, startAt, tags, timeout } = told.body
  if (timeout !== undefined && !Duration.greaterThan(timeout, Duration.zero)) {
    return invalid(`timeout: ${Duration.format(timeout)}; more than none is allowed`)
  }
  for (const [name, duration] of Object.entries({ delay, timeout })) {
    if (duration !== undefined && Duration.greaterThan(duration, longest)) {
      return invalid(`${name}: ${Duration.format(duration)}; at most 100 years are allowed`)
    }
  }
  const begins = delay === undefined ? startAt?.getTime() : now + Duration.toMillis(delay)
  return Either.right({
    ...(begins === undefined || begins < 0 ? {} : { startAt: begins }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeout: Duration.toMillis(timeout) }),
    ...(tags === undefined ? {} : { tags: [...new Set(tags)] }),
    ...(attributes === undefined ? {} : { attributes })
  })
}
