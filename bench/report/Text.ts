/** Tables and figures as text, for a terminal. */
import { largest, median, ratio, smallest } from "../harness/Stats.js"
import type { Figure } from "./Figures.js"
import { row, type Table } from "./Table.js"

const digits = (value: number): number => (value >= 100 ? 0 : value >= 10 ? 1 : 2)

export const number = (value: number): string =>
  Number.isFinite(value)
    ? value.toLocaleString("en-US", {
        minimumFractionDigits: digits(Math.abs(value)),
        maximumFractionDigits: digits(Math.abs(value))
      })
    : "-"

/** The first column is text, the others are numbers. */
const columns = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (lines[0] ?? []).map((_, column) =>
    largest(lines.map((line) => line[column]?.length ?? 0))
  )
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
        )
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

export const table = (table: Table): string => {
  const compared = table.baselines.flatMap((key) => row(table, key) ?? [])
  const header = ["", `${table.unit}, median`, "lowest", "highest"]
  const lines = table.rows.map((row) => [
    row.label,
    number(median(row.values)),
    number(smallest(row.values)),
    number(largest(row.values)),
    ...compared.map((baseline) => `${number(ratio(row.values, baseline.values))} x`)
  ])
  return [
    `\n${table.title}`,
    columns([[...header, ...compared.map(({ label }) => `to ${label}`)], ...lines]),
    ...(table.note === undefined ? [] : [table.note])
  ].join("\n")
}

export const figures = (figures: ReadonlyArray<Figure>): string =>
  figures
    .map(({ measured, reached, target }) => {
      const verdict = reached === undefined ? "not measured" : reached ? "reached" : "MISSED"
      return `${verdict.padEnd(13)} ${target}${measured === undefined ? "" : `\n${" ".repeat(14)}${measured}`}`
    })
    .join("\n")
