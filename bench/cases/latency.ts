import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import type { Table } from "../report/Table.js"
import { baselines } from "../Subjects.js"
import type { Case, Context } from "./Case.js"

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
  { folder, open, progress, sizes, subjects }: Context,
  { id, steps, title }: { readonly id: string; readonly title: string; readonly steps: number }
): Promise<Table> => {
  const yardstick = await open("Commits", { filename: join(folder, `${id}-commit.db`) })
  const input = { commits: sizes.commits, rowsPerCommit: 1 }
  const sessions = await Promise.all(
    subjects.map(async ({ engine, key, worker }) => {
      const filename = join(folder, `${id}-${key}.db`)
      const shape = { steps, made: "once" } as const
      return [key, await open("Throughput", { engine, filename, shape }, { worker })] as const
    })
  )
  const asks: Record<string, (millis: number) => Promise<number>> = {
    commit: async () => (await yardstick.ask(input)).microsPerCommit
  }
  for (const [key, session] of sessions) {
    asks[key] = async (millis) => {
      const { runs, millis: taken } = await session.ask({ concurrency: 1, millis })
      return (taken * 1000) / (runs * steps)
    }
  }
  progress(`${title}: warms up`)
  for (const ask of Object.values(asks)) await ask(sizes.warmUpMillis)
  progress(title)
  const measured = await interleave(
    Object.fromEntries(
      Object.entries(asks).map(([key, ask]) => [key, () => ask(sizes.roundMillis)])
    ),
    sizes.rounds
  )
  for (const [, session] of sessions) await session.close()
  await yardstick.close()
  const labels: Readonly<Record<string, string>> = {
    commit: "one SQLite FULL commit",
    ...Object.fromEntries(subjects.map(({ key, label }) => [key, label]))
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
