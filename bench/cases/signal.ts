import { join } from "node:path"
import * as Engines from "../Engines.js"
import { interleave } from "../harness/Rounds.js"
import { median, quantile } from "../harness/Stats.js"
import type { Table } from "../report/Table.js"
import { baselines } from "../Subjects.js"
import type { Params } from "../tasks/Tasks.js"
import type { Case, Context } from "./Case.js"

export const signal: Case = {
  name: "signal",
  title: "From a signal to the step after it",
  measure: async (context) => [...(await sameProcess(context)), await otherProcess(context)]
}

/** SingleRunner is asked for fewer: a run of it takes long to suspend. */
const countOf = (engine: Engines.Engine, count: number) =>
  engine === "cluster" ? Math.ceil(count / 10) : count

const sameProcess = async ({
  folder,
  open,
  progress,
  sizes,
  subjects
}: Context): Promise<ReadonlyArray<Table>> => {
  const sessions = await Promise.all(
    subjects.map(async (subject) => {
      const { engine, key, worker } = subject
      const filename = join(folder, `signal-${key}.db`)
      return [subject, await open("Resume", { engine, filename }, { worker })] as const
    })
  )
  const ask = (index: number) => async () => {
    const [{ engine, label }, session] = sessions[index]!
    progress(`signal in the same process: ${label}`)
    const count = countOf(engine, sizes.signals)
    return (await session.ask({ _tag: "SignalHere", count })).millis
  }
  const rounds = Object.fromEntries(sessions.map(([{ key }], index) => [key, ask(index)]))
  for (const round of Object.values(rounds)) await round()
  const measured = await interleave(rounds, sizes.rounds)
  for (const [, session] of sessions) await session.close()
  const rows = (pick: (millis: ReadonlyArray<number>) => number) =>
    subjects.map(({ key, label }) => ({ key, label, values: (measured[key] ?? []).map(pick) }))
  const common = { unit: "ms", better: "lower", baselines } as const
  return [
    {
      ...common,
      id: "signal",
      title: "Signal to next step, same process: median",
      rows: rows(median)
    },
    {
      ...common,
      id: "signal-p99",
      title: "Signal to next step, same process: 99th percentile",
      rows: rows((millis) => quantile(millis, 0.99))
    }
  ]
}

const otherProcess = (context: Context): Promise<Table> => {
  const filename = join(context.folder, "signal-other.db")
  return betweenProcesses(context, {
    id: "signal-other",
    title: "Signal to next step, from another process",
    label: Engines.labels.sqlite,
    receiver: { engine: "sqlite", filename },
    sender: { filename }
  })
}

/** From one process to another, which has the run. */
export const betweenProcesses = async (
  { open, progress, sizes }: Context,
  options: {
    readonly id: string
    readonly title: string
    readonly label: string
    readonly receiver: Params<"Resume">
    readonly sender: Params<"Sender">
  }
): Promise<Table> => {
  const receiver = await open("Resume", options.receiver)
  const sender = await open("Sender", options.sender)
  const round = async () => {
    progress(options.title)
    const { runs } = await receiver.ask({ _tag: "Suspend", count: sizes.signals })
    const sent = await sender.ask(runs)
    const resumed = await receiver.ask({ _tag: "Await", count: runs.length })
    const resumedAt = new Map(resumed.runs.map((runId, index) => [runId, resumed.millis[index]]))
    return runs.map((runId, index) => (resumedAt.get(runId) ?? Number.NaN) - sent[index]!)
  }
  await round()
  const { here } = await interleave({ here: round }, sizes.rounds)
  await sender.close()
  await receiver.close()
  return {
    id: options.id,
    title: options.title,
    unit: "ms",
    better: "lower",
    rows: [
      { key: "median", label: `${options.label}, median`, values: here.map(median) },
      {
        key: "p99",
        label: `${options.label}, 99th percentile`,
        values: here.map((millis) => quantile(millis, 0.99))
      }
    ],
    baselines: []
  }
}
