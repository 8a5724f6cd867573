/** All engines, each in a process of its own, taking turns with one workflow of steps. */
import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import type { Row, Table } from "../report/Table.js"
import { baselines, type Subject } from "../Subjects.js"
import type { Output } from "../tasks/Throughput.js"
import type { Shape } from "../Workflows.js"
import type { Context } from "./Case.js"

export interface Comparison {
  readonly id: string
  readonly title: string
  readonly shape: Shape
  readonly concurrency: number
}

interface Measured {
  readonly subject: Subject
  readonly outputs: ReadonlyArray<Output>
}

const measure = async (
  { folder, open, progress, sizes, subjects }: Context,
  { concurrency, id, shape, title }: Comparison
): Promise<ReadonlyArray<Measured>> => {
  const sessions = await Promise.all(
    subjects.map(async (subject) => {
      const { engine, key, worker } = subject
      const filename = join(folder, `${id}-${key}.db`)
      return [subject, await open("Throughput", { engine, filename, shape }, { worker })] as const
    })
  )
  for (const [{ label }, session] of sessions) {
    progress(`${title}: ${label} warms up`)
    await session.ask({ concurrency, millis: sizes.warmUpMillis })
  }
  const measured = await interleave(
    Object.fromEntries(
      sessions.map(([{ key, label }, session]) => [
        key,
        () => {
          progress(`${title}: ${label}`)
          return session.ask({ concurrency, millis: sizes.roundMillis })
        }
      ])
    ),
    sizes.rounds
  )
  for (const [, session] of sessions) await session.close()
  return subjects.map((subject) => ({ subject, outputs: measured[subject.key] ?? [] }))
}

const rows = (
  measured: ReadonlyArray<Measured>,
  pick: (output: Output) => number
): ReadonlyArray<Row> =>
  measured.map(({ outputs, subject: { key, label } }) => ({
    key,
    label,
    values: outputs.map(pick)
  }))

const rates = ({ id, title }: Comparison, measured: ReadonlyArray<Measured>): Table => ({
  id,
  title,
  unit: "steps/s",
  better: "higher",
  rows: rows(measured, ({ stepsPerSecond }) => stepsPerSecond),
  baselines
})

const cpuTimes = ({ id, title }: Comparison, measured: ReadonlyArray<Measured>): Table => ({
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
