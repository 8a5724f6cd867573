import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import { largest, smallest } from "../harness/Stats.js"
import type { Table } from "../report/Table.js"
import * as Seeded from "../seed/Seeded.js"
import type { Case, Context } from "./Case.js"

export const executors: Case = {
  name: "executors",
  title: "Two executors on one file",
  measure: async (context) => [await ownRuns(context), await backlog(context)]
}

const concurrency = 50

/** Each executes the runs that it starts itself. */
const ownRuns = async ({ folder, open, progress, sizes }: Context): Promise<Table> => {
  const shape = { steps: 3, made: "once" } as const
  const params = { engine: "sqlite", filename: join(folder, "own.db"), shape } as const
  const sessions = [await open("Throughput", params), await open("Throughput", params)]
  const round = (millis: number, count: number) => async () => {
    progress(`${count} executors on one file, each with its own runs`)
    const outputs = await Promise.all(
      sessions
        .slice(0, count)
        .map((session) => session.ask({ concurrency: concurrency / count, millis }))
    )
    return outputs.reduce((sum, { stepsPerSecond }) => sum + stepsPerSecond, 0)
  }
  await round(sizes.warmUpMillis, 2)()
  const measured = await interleave(
    { one: round(sizes.roundMillis, 1), two: round(sizes.roundMillis, 2) },
    sizes.rounds
  )
  for (const session of sessions) await session.close()
  return {
    id: "executors",
    title: `3 steps, ${concurrency} runs at a time in all, executors on one file`,
    unit: "steps/s",
    better: "higher",
    rows: [
      { key: "one", label: "one works, one is idle", values: measured.one },
      { key: "two", label: "both work", values: measured.two }
    ],
    baselines: ["one"]
  }
}

/** Both take from what waits. */
const backlog = async (context: Context): Promise<Table> => {
  const { folder, open, progress, sizes } = context
  const seeded = join(folder, "backlog.db")
  await Seeded.make(context, seeded, { kind: "pending", count: sizes.backlog })
  let copies = 0
  const round = (count: number) => async () => {
    const filename = join(folder, `backlog-${copies++}.db`)
    await Seeded.copy(seeded, filename)
    const sessions = await Promise.all(
      Array.from({ length: count }, () => open("Backlog", { filename }))
    )
    progress(`${count} executors work off ${sizes.backlog} runs`)
    const outputs = await Promise.all(sessions.map((session) => session.ask()))
    for (const session of sessions) await session.close()
    const millis =
      largest(outputs.map(({ ended }) => ended)) - smallest(outputs.map(({ began }) => began))
    return (outputs.reduce((sum, { runs }) => sum + runs, 0) * 3 * 1000) / millis
  }
  const measured = await interleave({ one: round(1), two: round(2) }, sizes.coldRounds)
  return {
    id: "backlog",
    title: `${sizes.backlog.toLocaleString("en-US")} pending runs of 3 steps, worked off from a cold start`,
    unit: "steps/s",
    better: "higher",
    rows: [
      { key: "one", label: "one executor", values: measured.one },
      { key: "two", label: "two executors", values: measured.two }
    ],
    baselines: ["one"]
  }
}
