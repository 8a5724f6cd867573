/**
 * Statements over several rows at once. What costs is not SQLite but the way to it, so many rows
 * take one statement. There is a statement for each of a few numbers of rows, for each is kept
 * prepared.
 */

/** So many rows a statement takes; the largest has to keep below SQLite's 32,766 parameters. */
const sizes = [64, 32, 16, 8, 4, 2, 1]

/** Makes the statement for so many rows once. */
export const forRows = (make: (rows: number) => string): ((rows: number) => string) => {
  const made = new Map<number, string>()
  return (rows) => {
    const known = made.get(rows)
    if (known !== undefined) return known
    const statement = make(rows)
    made.set(rows, statement)
    return statement
  }
}

/** `(VALUES (?, ?), (?, ?))`, a table whose columns are `column1`, `column2` and so on. */
export const table = (rows: number, columns: number): string => {
  const row = `(${parameters(columns)})`
  return `(VALUES ${Array.from({ length: rows }, () => row).join(", ")})`
}

/** `?, ?, ?` */
export const parameters = (count: number): string => Array.from({ length: count }, () => "?").join()

/** Splits rows into parts for which there are statements. */
export const parts = <Row>(rows: ReadonlyArray<Row>): ReadonlyArray<ReadonlyArray<Row>> => {
  if (rows.length === 1) return [rows]
  const split: Array<ReadonlyArray<Row>> = []
  let from = 0
  for (const size of sizes) {
    for (; rows.length - from >= size; from += size) split.push(rows.slice(from, from + size))
  }
  return split
}
