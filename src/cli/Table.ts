/**
 * Tables for people, as text.
 */

/** Nothing that a name or a message has in it moves the cursor, or colours the terminal. */
export const plain = (text: string): string =>
  text
    .replace(/\s+/g, " ")
    .replace(/[\p{Cc}\p{Cf}]/gu, (character) => {
      const code = character.codePointAt(0) ?? 0
      return `\\u{${code.toString(16)}}`
    })
    .trim()

export interface Options {
  /** Columns of the terminal: longer lines are cut. Default: none are. */
  readonly width?: number | undefined
  /** Where lines would be longer than that, the last column is in lines of its own. Default: no. */
  readonly lastBelow?: boolean | undefined
  /** Whether it goes on with a table that has its headings already. Default: no. */
  readonly goesOn?: boolean | undefined
}

/** Columns as wide as their widest cell, with two blanks between; empty cells show as `-`. */
export const render = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | undefined>>,
  { goesOn = false, lastBelow = false, width = Number.POSITIVE_INFINITY }: Options = {}
): string => {
  const cells = [
    headings,
    ...rows.map((row) => headings.map((_, column) => plain(row[column] ?? "") || "-"))
  ]
  const lines = aligned(cells)
  const fits = lines.every((line) => line.length <= width)
  const shown =
    fits || !lastBelow
      ? lines
      : aligned(cells.map((row) => row.slice(0, -1))).flatMap((line, index) => {
          const last = cells[index]?.at(-1)
          return index === 0 || last === undefined || last === "-" ? [line] : [line, `  ${last}`]
        })
  return shown
    .slice(goesOn ? 1 : 0)
    .map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line))
    .join("\n")
}

const aligned = (cells: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = cells[0]?.map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? "").length))
  )
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
}

/** `2026-11-22 19:03:07`, in UTC, of a time in ISO 8601. */
export const time = (iso: string | undefined): string | undefined =>
  iso?.slice(0, 19).replace("T", " ")

/** `350ms`, `2.5s`, `3m 20s`, `5h 2m`, `3d 4h`. */
export const duration = (millis: number): string => {
  if (millis < 1_000) return `${Math.max(0, Math.round(millis))}ms`
  if (millis < 59_950) return `${(millis / 1_000).toFixed(1)}s`
  const seconds = Math.round(millis / 1_000)
  const [minutes, hours, days] = [60, 3_600, 86_400].map((unit) => Math.floor(seconds / unit))
  if (days !== undefined && days > 0) return `${days}d ${(hours ?? 0) % 24}h`
  if (hours !== undefined && hours > 0) return `${hours}h ${(minutes ?? 0) % 60}m`
  return `${minutes}m ${seconds % 60}s`
}
