import { join } from "node:path"
import type { Engine } from "../Engines.js"
import type { Row, Table } from "../report/Table.js"
import type { Sizes } from "../Sizes.js"
import { before, type Subject } from "../Subjects.js"
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
const isMeasured = (state: State, { engine }: Subject): boolean =>
  state !== "pending" || engine === "sqlite" || engine === "memory"

/** SingleRunner is asked for fewer: it takes minutes for the rest, and the cost of each is large. */
const countOf = (state: State, engine: Engine, sizes: Sizes) => {
  const count = state === "running" ? sizes.runningInMemory : sizes.suspendedInMemory
  return engine === "cluster" ? Math.ceil(count / 100) : count
}

export const heap: Case = {
  name: "heap",
  title: "Memory of a run",
  measure: async ({ folder, open, progress, sizes, subjects }) => {
    const tables: Array<Table> = []
    for (const { id, made, state, title } of kinds) {
      const rows: Array<Row> = []
      for (const subject of subjects.filter((subject) => isMeasured(state, subject))) {
        const { engine, key, worker } = subject
        const count = countOf(state, engine, sizes)
        const label = `${subject.label}, ${count.toLocaleString("en-US")} runs`
        progress(`heap of a ${title}: ${label}`)
        const values: Array<number> = []
        for (let round = 0; round < sizes.heapRounds; round++) {
          const filename = join(folder, `${id}-${key}-${round}.db`)
          const params = { engine, filename, state, count, made }
          const session = await open("Heap", params, { worker })
          values.push(await session.ask())
          await session.close()
        }
        rows.push({ key, label, values })
      }
      tables.push({
        id,
        title: `JavaScript heap for each ${title}`,
        unit: "bytes",
        better: "lower",
        rows,
        baselines: [before, "upstream"],
        note: "Rows of a database are not on this heap, also where the database is in memory."
      })
    }
    return tables
  }
}
