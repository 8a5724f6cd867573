/**
 * Bars for the tables of a case that share a unit. Hand-made: it draws what it needs and no more.
 */
import { largest, median, smallest } from "../harness/Stats.js"
import type { Table } from "./Table.js"
import { number } from "./Text.js"

const layout = {
  width: 900,
  margin: 20,
  labels: 300,
  values: 130,
  barHeight: 18,
  barGap: 4,
  titleHeight: 30,
  tableGap: 14
}

const colours: Readonly<Record<string, string>> = {
  sqlite: "#0f766e",
  memory: "#5eead4",
  postgres: "#2563eb",
  far: "#93c5fd",
  upstream: "#94a3b8",
  cluster: "#f59e0b"
}
const otherColour = "#0f766e"

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`

/** From this share of the largest on, values are told apart on a straight scale. */
const straightFrom = 1 / 30

interface Scale {
  readonly note: string
  readonly width: (value: number) => number
}

const makeScale = (values: ReadonlyArray<number>): Scale => {
  const room = layout.width - 2 * layout.margin - layout.labels - layout.values
  const top = largest(values)
  const bottom = smallest(values.filter((value) => value > 0))
  if (!(bottom < top * straightFrom)) {
    return { note: "", width: (value) => (Math.max(value, 0) / top) * room }
  }
  const from = Math.floor(Math.log10(bottom))
  const share = (value: number) =>
    value <= 0 ? 0 : (Math.log10(value) - from) / (Math.log10(top) - from)
  return {
    note: ", logarithmic scale",
    width: (value) => Math.max(share(value), 0.005) * room
  }
}

/** @param tables of one unit */
export const chart = (title: string, tables: ReadonlyArray<Table>): string => {
  const { barGap, barHeight, labels, margin, tableGap, titleHeight, width } = layout
  const [first] = tables
  const all = tables.flatMap(({ rows }) => rows.map(({ values }) => median(values)))
  const scale = makeScale(all)
  const parts: Array<string> = []
  let y = margin + 20
  const unit = `${first?.unit ?? ""}, ${first?.better ?? ""} is better${scale.note}`
  parts.push(text(margin, y, title, 'font-size="17" font-weight="600"'))
  y += 20
  parts.push(text(margin, y, `Medians in ${unit}; the thin line is the spread`, 'fill="#475569"'))
  for (const table of tables) {
    y += tableGap + titleHeight
    parts.push(text(margin, y - 10, table.title, 'font-weight="600"'))
    for (const row of table.rows) {
      const x = margin + labels
      const value = median(row.values)
      const barWidth = scale.width(value)
      const middle = y + barHeight / 2
      const low = x + scale.width(smallest(row.values))
      const high = x + Math.min(scale.width(largest(row.values)), width - x - margin)
      const baseline = y + barHeight - 5
      parts.push(
        text(x - 8, baseline, row.label, 'text-anchor="end"'),
        `<rect x="${x}" y="${y}" width="${barWidth.toFixed(1)}" height="${barHeight}" rx="2" fill="${colours[row.key] ?? otherColour}"/>`,
        `<line x1="${low.toFixed(1)}" y1="${middle}" x2="${high.toFixed(1)}" y2="${middle}" stroke="#0f172a" stroke-width="1.5"/>`,
        text(Number((Math.max(x + barWidth, high) + 8).toFixed(1)), baseline, number(value))
      )
      y += barHeight + barGap
    }
  }
  const height = y + margin
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#0f172a" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    ""
  ].join("\n")
}
