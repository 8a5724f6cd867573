/**
 * What a case has measured: for each subject one value a round, in the order of the rounds.
 */
export interface Row {
  /** Names the subject within its table, for the figures. */
  readonly key: string
  readonly label: string
  readonly values: ReadonlyArray<number>
}

export type Unit = "steps/s" | "rows/s" | "requests/s" | "runs/s" | "ms" | "µs" | "bytes"

export interface Table {
  readonly id: string
  readonly title: string
  readonly unit: Unit
  readonly better: "higher" | "lower"
  readonly rows: ReadonlyArray<Row>
  /** Keys of the rows that the others are compared with. */
  readonly baselines: ReadonlyArray<string>
  readonly note?: string | undefined
}

export const row = (table: Table | undefined, key: string): Row | undefined =>
  table?.rows.find((row) => row.key === key)
