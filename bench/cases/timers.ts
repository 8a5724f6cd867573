import { join } from "node:path"
import { largest, median, quantile } from "../harness/Stats.js"
import type { Row, Table } from "../report/Table.js"
import * as Seeded from "../seed/Seeded.js"
import type { Case } from "./Case.js"

/** Some 200 a second: their steps are no load, so that what is seen is the timers. */
const everyMillis = 5

export const timers: Case = {
  name: "timers",
  title: "Lateness of timers",
  measure: async (context) => {
    const { folder, open, progress, sizes } = context
    const filename = join(folder, "sleepers.db")
    const { key } = await Seeded.make(context, filename, {
      kind: "sleeping",
      count: sizes.sleepers
    })
    const session = await open("Lateness", { filename, templateKey: key })
    let firstKey = key + 1
    const round = async (count: number, everyMillis: number) => {
      const lateness = await session.ask({ firstKey, count, everyMillis })
      firstKey += count
      return lateness
    }
    const atOnce = Math.ceil(sizes.wakers / 4)
    await round(Math.ceil(sizes.wakers / 10), everyMillis)
    const apart: Array<ReadonlyArray<number>> = []
    const together: Array<ReadonlyArray<number>> = []
    for (let i = 0; i < sizes.coldRounds; i++) {
      progress(`${sizes.wakers} timers, one every ${everyMillis} ms`)
      apart.push(await round(sizes.wakers, everyMillis))
      progress(`${atOnce} timers in the same millisecond`)
      together.push(await round(atOnce, 0))
    }
    await session.close()
    const sleepers = sizes.sleepers.toLocaleString("en-US")
    const table = (id: string, title: string, rounds: typeof apart): Table => ({
      id,
      title,
      unit: "ms",
      better: "lower",
      rows: rows(rounds),
      baselines: []
    })
    return [
      table("timers", `${sleepers} sleeping runs, one wakes every ${everyMillis} ms`, apart),
      table(
        "timers-together",
        `${sleepers} sleeping runs, ${atOnce} wake in the same millisecond`,
        together
      )
    ]
  }
}

const rows = (rounds: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Row> => [
  { key: "median", label: "median", values: rounds.map(median) },
  {
    key: "p99",
    label: "99th percentile",
    values: rounds.map((lateness) => quantile(lateness, 0.99))
  },
  { key: "highest", label: "highest", values: rounds.map(largest) }
]
