import { join } from "node:path"
import type { Row, Table } from "../report/Table.js"
import type { Output } from "../tasks/Drain.js"
import type { Case } from "./Case.js"

interface Stop {
  readonly key: string
  readonly label: string
  readonly steps: number
  readonly ending: "end" | "cut"
  /** The steps go on for so long, in ms; what is measured is what comes after. */
  readonly lasting?: number
  /** Runs that wait in memory. */
  readonly waiting: number
}

export const drain: Case = {
  name: "drain",
  title: "Stopping",
  measure: async ({ folder, open, progress, sizes }) => {
    const many = sizes.stepsInFlight
    const count = many.toLocaleString("en-US")
    const stops: ReadonlyArray<Stop> = [
      { key: "idle", label: "nothing in flight", steps: 0, ending: "end", waiting: 0 },
      {
        key: "waiting",
        label: "after 50 steps of half a second, 500 runs wait in memory",
        lasting: 500,
        steps: 50,
        ending: "end",
        waiting: 500
      },
      {
        key: "end",
        label: `${count} steps end as the stop begins`,
        steps: many,
        ending: "end",
        waiting: 0
      },
      { key: "cut", label: `${count} steps are cut`, steps: many, ending: "cut", waiting: 0 }
    ]
    const measured: Array<{ readonly stop: Stop; readonly outputs: ReadonlyArray<Output> }> = []
    for (const stop of stops) {
      const { ending, key, label, lasting = 0, steps, waiting } = stop
      const outputs: Array<Output> = []
      for (let round = 0; round < sizes.coldRounds; round++) {
        progress(`drain: ${label}`)
        const filename = join(folder, `drain-${key}-${round}.db`)
        const session = await open("Drain", { filename, steps, ending, lasting, waiting })
        outputs.push(await session.ask())
        await session.close()
      }
      measured.push({ stop, outputs })
    }
    const table = (id: string, title: string, pick: (output: Output) => number): Table => ({
      id,
      title,
      unit: "ms",
      better: "lower",
      rows: measured.map(
        ({ outputs, stop: { key, label } }): Row => ({ key, label, values: outputs.map(pick) })
      ),
      baselines: []
    })
    return [
      table(
        "drain",
        "From the request to stop until all is recorded, handed over and closed",
        ({ stopMillis }) => stopMillis
      ),
      table(
        "drain-block",
        "Longest time that the event loop was held up meanwhile",
        ({ blockMillis }) => blockMillis
      )
    ]
  }
}
