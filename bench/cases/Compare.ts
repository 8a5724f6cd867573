/** All engines, each in a process of its own, taking turns with one workflow of steps. */
import { join } from "node:path"
import * as Engines from "../Engines.js"
import { interleave } from "../harness/Rounds.js"
import type { Row, Table } from "../report/Table.js"
import type { Output } from "../tasks/Throughput.js"
import type { Shape } from "../Workflows.js"
import type { Context } from "./Case.js"

export interface Comparison {
  readonly id: string
  readonly title: string
  readonly shape: Shape
  readonly concurrency: number
}

/** Most figures are ratios to one of these. */
export const baselines: ReadonlyArray<Engines.Engine> = ["upstream", "cluster"]

type Measured = Readonly<Record<Engines.Engine, ReadonlyArray<Output>>>

const measure = async (
  { folder, open, progress, sizes }: Context,
  { concurrency, id, shape, title }: Comparison
): Promise<Measured> => {
  const sessions = await Promise.all(
    Engines.all.map(async (engine) => {
      const filename = join(folder, `${id}-${engine}.db`)
      return [engine, await open("Throughput", { engine, filename, shape })] as const
    })
  )
  for (const [engine, session] of sessions) {
    progress(`${title}: ${Engines.labels[engine]} warms up`)
    await session.ask({ concurrency, millis: sizes.warmUpMillis })
  }
  const measured = await interleave(
    Object.fromEntries(
      sessions.map(([engine, session]) => [
        engine,
        () => {
          progress(`${title}: ${Engines.labels[engine]}`)
          return session.ask({ concurrency, millis: sizes.roundMillis })
        }
      ])
    ),
    sizes.rounds
  )
  for (const [, session] of sessions) await session.close()
  return measured as Measured
}

const rows = (measured: Measured, pick: (output: Output) => number): ReadonlyArray<Row> =>
  Engines.all.map((engine) => ({
    key: engine,
    label: Engines.labels[engine],
    values: measured[engine].map(pick)
  }))

const rates = ({ id, title }: Comparison, measured: Measured): Table => ({
  id,
  title,
  unit: "steps/s",
  better: "higher",
  rows: rows(measured, ({ stepsPerSecond }) => stepsPerSecond),
  baselines
})

const cpuTimes = ({ id, title }: Comparison, measured: Measured): Table => ({
  id: `${id}-cpu`,
  title: `${title}: CPU time of a step`,
  unit: "µs",
  better: "lower",
  rows: rows(measured, ({ cpuMicrosPerStep }) => cpuMicrosPerStep),
  baselines
})

export const compare = async (
  context: Context,
  comparisons: ReadonlyArray<Comparison>
): Promise<ReadonlyArray<Table>> => {
  const tables: Array<Table> = []
  for (const comparison of comparisons) {
    const measured = await measure(context, comparison)
    tables.push(rates(comparison, measured), cpuTimes(comparison, measured))
  }
  return tables
}
