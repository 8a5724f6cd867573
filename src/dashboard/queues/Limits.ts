/** The limits of a queue, as they are read, and as they are written in a form. */
import type { QueueLimitsView } from "../../api/Queues.js"
import { durationProblem, millisOfDuration, textOfDuration } from "../parts/Durations.js"
import { count, duration } from "../parts/Words.js"

/** `50 at once, 5 per key, 100 per key in 1 min`. */
export const told = (limits: QueueLimitsView): string => {
  const { concurrency, concurrencyPerKey, keepSlot, rateLimit } = limits
  const parts = [
    ...(concurrency === undefined ? [] : [`${count(concurrency)} at once`]),
    ...(concurrencyPerKey === undefined ? [] : [`${count(concurrencyPerKey)} per key`]),
    ...(rateLimit === undefined
      ? []
      : [`${count(rateLimit.limit)} per key in ${duration(rateLimit.window)}`]),
    ...(keepSlot === true ? ["those that wait count"] : [])
  ]
  return parts.length === 0 ? "none" : parts.join(", ")
}

/** What is in the form's fields; an empty one is no bound. */
export interface Written {
  readonly concurrency: string
  readonly concurrencyPerKey: string
  readonly rate: string
  readonly window: string
  readonly keepSlot: boolean
}

const textOf = (value: number | undefined) => (value === undefined ? "" : String(value))

export const write = (limits: QueueLimitsView): Written => ({
  concurrency: textOf(limits.concurrency),
  concurrencyPerKey: textOf(limits.concurrencyPerKey),
  rate: textOf(limits.rateLimit?.limit),
  window: limits.rateLimit === undefined ? "" : textOfDuration(limits.rateLimit.window),
  keepSlot: limits.keepSlot === true
})

export type Problems = Partial<Record<keyof Written, string>>

const wholeProblem = (text: string) =>
  text.trim() === "" || (/^\d+$/.test(text.trim()) && Number(text) >= 1 && isSafe(text))
    ? undefined
    : `${text.trim()} is not a whole number of 1 or more`

const isSafe = (text: string) => Number.isSafeInteger(Number(text))

const windowProblem = ({ rate, window }: Written) => {
  if (rate.trim() === "" && window.trim() === "") return undefined
  if (rate.trim() === "") return "Say how many may begin within it, or leave both empty"
  return durationProblem(window)
}

/** What is wrong with what is written, by its field; none: it can be sent. */
export const problems = (written: Written): Problems => {
  const found = {
    concurrency: wholeProblem(written.concurrency),
    concurrencyPerKey: wholeProblem(written.concurrencyPerKey),
    rate: wholeProblem(written.rate),
    window: windowProblem(written)
  }
  return Object.fromEntries(Object.entries(found).filter(([, problem]) => problem !== undefined))
}

const numberOf = (text: string) => (text.trim() === "" ? undefined : Number(text))

/** Of what has no problems. */
export const read = (written: Written): QueueLimitsView => {
  const concurrency = numberOf(written.concurrency)
  const concurrencyPerKey = numberOf(written.concurrencyPerKey)
  const limit = numberOf(written.rate)
  const window = limit === undefined ? undefined : millisOfDuration(written.window)
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(concurrencyPerKey === undefined ? {} : { concurrencyPerKey }),
    ...(limit === undefined || window === undefined ? {} : { rateLimit: { limit, window } }),
    ...(written.keepSlot ? { keepSlot: true } : {})
  }
}
