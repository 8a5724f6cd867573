import { join } from "node:path"
import * as Engines from "../Engines.js"
import type { Row, Table } from "../report/Table.js"
import type { Sizes } from "../Sizes.js"
import type { State } from "../tasks/Heap.js"
import type { Case } from "./Case.js"

interface Kind {
  readonly id: string
  readonly title: string
  readonly state: State
  readonly made: "once" | "inside"
}

const kinds: ReadonlyArray<Kind> = [
  { id: "heap-pending", title: "pending run", state: "pending", made: "once" },
  {
    id: "heap-running",
    title: "running run, activities made once",
    state: "running",
    made: "once"
  },
  {
    id: "heap-running-inside",
    title: "running run, activities made inside the workflow",
    state: "running",
    made: "inside"
  },
  { id: "heap-suspended", title: "suspended run", state: "suspended", made: "once" }
]

/** An engine without a store begins all that is started: nothing in it is pending. */
const enginesOf = (state: State): ReadonlyArray<Engines.Engine> =>
  state === "pending" ? ["sqlite", "memory"] : Engines.all

/** SingleRunner is asked for fewer: it takes minutes for the rest, and the cost of each is large. */
const countOf = (state: State, engine: Engines.Engine, sizes: Sizes) => {
  const count = state === "running" ? sizes.runningInMemory : sizes.suspendedInMemory
  return engine === "cluster" ? Math.ceil(count / 100) : count
}

export const heap: Case = {
  name: "heap",
  title: "Memory of a run",
  measure: async ({ folder, open, progress, sizes }) => {
    const tables: Array<Table> = []
    for (const { id, made, state, title } of kinds) {
      const rows: Array<Row> = []
      for (const engine of enginesOf(state)) {
        const count = countOf(state, engine, sizes)
        const label = `${Engines.labels[engine]}, ${count.toLocaleString("en-US")} runs`
        progress(`heap of a ${title}: ${label}`)
        const values: Array<number> = []
        for (let round = 0; round < sizes.heapRounds; round++) {
          const filename = join(folder, `${id}-${engine}-${round}.db`)
          const session = await open("Heap", { engine, filename, state, count, made })
          values.push(await session.ask())
          await session.close()
        }
        rows.push({ key: engine, label, values })
      }
      tables.push({
        id,
        title: `JavaScript heap for each ${title}`,
        unit: "bytes",
        better: "lower",
        rows,
        baselines: rows.some(({ key }) => key === "upstream") ? ["upstream"] : [],
        note: "Rows of a database are not on this heap, also where the database is in memory."
      })
    }
    return tables
  }
}
