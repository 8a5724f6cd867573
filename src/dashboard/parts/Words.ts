/** Times, durations and counts, as they are read. */

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000]
] as const

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "long" })

/** `3 minutes ago`, `in 8 seconds`; `now` within a second. */
export const fromNow = (at: number, now: number): string => {
  const difference = at - now
  for (const [unit, millis] of units) {
    if (Math.abs(difference) >= millis)
      return relative.format(Math.trunc(difference / millis), unit)
  }
  return "now"
}

const exactFormat = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hour12: false,
  timeZoneName: "short"
})

/** To the millisecond, in the reader's zone. */
export const exact = (at: number): string => exactFormat.format(at)

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false
})

/** The time of the day, in the reader's zone; with the day where that is not today's. */
export const clock = (at: number, now: number): string =>
  new Date(at).toDateString() === new Date(now).toDateString()
    ? clockFormat.format(at)
    : `${new Date(at).toLocaleDateString()} ${clockFormat.format(at)}`

/** `420 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export const duration = (millis: number): string => {
  if (millis < 1_000) return `${Math.max(0, Math.round(millis))} ms`
  if (millis < 60_000) return `${(Math.floor(millis / 100) / 10).toString()} s`
  const [first, second] =
    millis < 3_600_000
      ? [`${Math.floor(millis / 60_000)} min`, rest(millis % 60_000, 1_000, "s")]
      : millis < 86_400_000
        ? [`${Math.floor(millis / 3_600_000)} h`, rest(millis % 3_600_000, 60_000, "min")]
        : [`${Math.floor(millis / 86_400_000)} d`, rest(millis % 86_400_000, 3_600_000, "h")]
  return second === "" ? first : `${first} ${second}`
}

const rest = (millis: number, unit: number, name: string) => {
  const count = Math.floor(millis / unit)
  return count === 0 ? "" : `${count} ${name}`
}

const number = new Intl.NumberFormat("en")

/** `12,078`. */
export const count = (value: number): string => number.format(value)

/** `1 run`, `12 runs`. */
export const counted = (value: number, one: string, several = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : several}`

export const size = (bytes: number): string =>
  bytes < 1_024
    ? counted(bytes, "byte")
    : bytes < 1_048_576
      ? `${Math.round(bytes / 102.4) / 10} KiB`
      : `${Math.round(bytes / 104_857.6) / 10} MiB`

/** What tells one id from another, at a glance. */
export const shortId = (runId: string): string =>
  /^[0-9a-f]{32}$/.test(runId) ? runId.slice(0, 8) : runId

export const millisOf = (iso: string): number => Date.parse(iso)
