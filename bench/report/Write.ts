/** Results as files: one JSON, and charts for each case. */
import { copyFile, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Figure } from "./Figures.js"
import type { Machine } from "./Machine.js"
import * as Svg from "./Svg.js"
import type { Table, Unit } from "./Table.js"

export interface CaseResult {
  readonly name: string
  readonly title: string
  readonly seconds: number
  readonly tables: ReadonlyArray<Table>
  /** Why it has none. */
  readonly crash?: string | undefined
  readonly skipped?: string | undefined
}

export interface Results {
  readonly startedAt: string
  readonly quick: boolean
  readonly sizes: object
  readonly machine: Machine
  readonly figures: ReadonlyArray<Figure>
  readonly cases: ReadonlyArray<CaseResult>
}

const unitNames: Readonly<Record<Unit, string>> = {
  "steps/s": "rate",
  "rows/s": "rate",
  "requests/s": "requests",
  "runs/s": "rate",
  ms: "ms",
  µs: "micros",
  bytes: "bytes"
}

/** @returns the names of the files */
export const write = async (
  folder: string,
  results: Results,
  copyTo: string | undefined
): Promise<ReadonlyArray<string>> => {
  const files: Record<string, string> = { "results.json": `${JSON.stringify(results, null, 2)}\n` }
  for (const { name, tables, title } of results.cases) {
    for (const unit of new Set(tables.map(({ unit }) => unit))) {
      const ofUnit = tables.filter((table) => table.unit === unit)
      files[`${name}-${unitNames[unit]}.svg`] = Svg.chart(title, ofUnit)
    }
  }
  const names = Object.keys(files)
  await mkdir(folder, { recursive: true })
  for (const name of names) await writeFile(join(folder, name), files[name]!)
  if (copyTo !== undefined) {
    await mkdir(copyTo, { recursive: true })
    for (const name of names) await copyFile(join(folder, name), join(copyTo, name))
  }
  return names
}
