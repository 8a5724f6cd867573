import { join } from "node:path"
import * as Engines from "../Engines.js"
import { interleave } from "../harness/Rounds.js"
import type { Table } from "../report/Table.js"
import type { Case, Context } from "./Case.js"
import { baselines } from "./Compare.js"

/** Long runs, so that the run's own beginning and end hardly count. */
const steps = 100

export const latency: Case = {
  name: "latency",
  title: "Latency of a step",
  measure: async (context) => [
    await measure(context, {
      id: "latency",
      title: `A step of a workflow of ${steps}, concurrency 1`,
      steps
    }),
    await measure(context, {
      id: "latency-short",
      title: "A third of a workflow of 3 steps, its beginning and end included, concurrency 1",
      steps: 3
    })
  ]
}

/** One commit of SQLite takes its turn with the engines, for it is what they are compared with. */
const measure = async (
  { folder, open, progress, sizes }: Context,
  { id, steps, title }: { readonly id: string; readonly title: string; readonly steps: number }
): Promise<Table> => {
  const yardstick = await open("Commits", { filename: join(folder, `${id}-commit.db`) })
  const input = { commits: sizes.commits, rowsPerCommit: 1 }
  const sessions = await Promise.all(
    Engines.all.map(async (engine) => {
      const filename = join(folder, `${id}-${engine}.db`)
      const session = await open("Throughput", { engine, filename, shape: { steps, made: "once" } })
      return [engine, session] as const
    })
  )
  const subjects: Record<string, (millis: number) => Promise<number>> = {
    commit: async () => (await yardstick.ask(input)).microsPerCommit
  }
  for (const [engine, session] of sessions) {
    subjects[engine] = async (millis) => {
      const { runs, millis: taken } = await session.ask({ concurrency: 1, millis })
      return (taken * 1000) / (runs * steps)
    }
  }
  progress(`${title}: warms up`)
  for (const subject of Object.values(subjects)) await subject(sizes.warmUpMillis)
  progress(title)
  const measured = await interleave(
    Object.fromEntries(
      Object.entries(subjects).map(([key, subject]) => [key, () => subject(sizes.roundMillis)])
    ),
    sizes.rounds
  )
  for (const [, session] of sessions) await session.close()
  await yardstick.close()
  const labels: Readonly<Record<string, string>> = {
    commit: "one SQLite FULL commit",
    ...Engines.labels
  }
  return {
    id,
    title,
    unit: "µs",
    better: "lower",
    rows: Object.entries(measured).map(([key, values]) => ({
      key,
      label: labels[key] ?? key,
      values
    })),
    baselines: ["commit", ...baselines]
  }
}
