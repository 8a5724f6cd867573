import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import type { Case } from "./Case.js"

export const commits: Case = {
  name: "commits",
  title: "SQLite itself: the yardstick",
  measure: async ({ folder, open, progress, sizes }) => {
    const session = await open("Commits", { filename: join(folder, "commits.db") })
    const one = { commits: sizes.commits, rowsPerCommit: 1 }
    const hundred = { commits: Math.ceil(sizes.commits / 10), rowsPerCommit: 100 }
    progress("SQLite warms up")
    await session.ask(one)
    await session.ask(hundred)
    progress("SQLite commits")
    const measured = await interleave(
      { one: () => session.ask(one), hundred: () => session.ask(hundred) },
      sizes.rounds
    )
    await session.close()
    return [
      {
        id: "commits",
        title: "Raw better-sqlite3, synchronous FULL",
        unit: "rows/s",
        better: "higher",
        rows: [
          {
            key: "one",
            label: "1 row a commit",
            values: measured.one.map(({ rowsPerSecond }) => rowsPerSecond)
          },
          {
            key: "hundred",
            label: "100 rows a commit",
            values: measured.hundred.map(({ rowsPerSecond }) => rowsPerSecond)
          }
        ],
        baselines: []
      }
    ]
  }
}
