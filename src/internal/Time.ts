/**
 * Times as they are given, to the API and on the command line: ISO 8601, a day or a time with its
 * zone. Without a zone a time would be another one on another machine.
 */

export const pattern =
  /^(\d{4}-\d\d-\d\d)(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))?$/

/** What is wrong with a text that is none. */
export const describe = (text: string): string =>
  `${JSON.stringify(text)} is not a time; expected a day, or a time with its zone (ISO 8601), such as 2026-11-22 or 2026-11-22T18:00:00Z`

/** The beginning of a day is that in UTC. `undefined` where there is no such day or time. */
export const parse = (text: string): Date | undefined => {
  const day = pattern.exec(text)?.[1]
  if (day === undefined) return undefined
  // of a month's days Date counts on into the next one
  const began = new Date(`${day}T00:00:00Z`)
  const isDay = !Number.isNaN(began.getTime()) && began.toISOString().startsWith(day)
  return isDay ? new Date(text) : undefined
}
