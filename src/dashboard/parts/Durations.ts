/** Durations as they are written in a form: `5 minutes`. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

const units = [
  ["days", 86_400_000],
  ["hours", 3_600_000],
  ["minutes", 60_000],
  ["seconds", 1_000],
  ["millis", 1]
] as const

/** In the largest unit that says it exactly. */
export const textOfDuration = (millis: number): string => {
  const [unit, size] = units.find(([, size]) => millis % size === 0) ?? ["millis", 1]
  const amount = millis / size
  return `${amount} ${amount === 1 && unit !== "millis" ? unit.slice(0, -1) : unit}`
}

/** `undefined` where it is none, or none at all. */
export const millisOfDuration = (text: string): number | undefined =>
  Option.match(Duration.decodeUnknown(text.trim().toLowerCase().replace(/\s+/g, " ")), {
    onNone: () => undefined,
    onSome: (duration) => {
      const millis = Math.ceil(Duration.toMillis(duration))
      return Number.isSafeInteger(millis) && millis >= 1 ? millis : undefined
    }
  })

export const durationProblem = (text: string): string | undefined =>
  millisOfDuration(text) === undefined
    ? `${JSON.stringify(text)} is not a duration, such as "1 minute" or "30 seconds"`
    : undefined
