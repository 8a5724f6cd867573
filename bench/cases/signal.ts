import { join } from "node:path"
import * as Engines from "../Engines.js"
import { interleave } from "../harness/Rounds.js"
import { median, quantile } from "../harness/Stats.js"
import type { Table } from "../report/Table.js"
import type { Params } from "../tasks/Tasks.js"
import type { Case, Context } from "./Case.js"
import { baselines } from "./Compare.js"

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
  sizes
}: Context): Promise<ReadonlyArray<Table>> => {
  const sessions = await Promise.all(
    Engines.all.map(async (engine) => {
      const filename = join(folder, `signal-${engine}.db`)
      return [engine, await open("Resume", { engine, filename })] as const
    })
  )
  const ask = (index: number) => async () => {
    const [engine, session] = sessions[index]!
    progress(`signal in the same process: ${Engines.labels[engine]}`)
    const count = countOf(engine, sizes.signals)
    return (await session.ask({ _tag: "SignalHere", count })).millis
  }
  const subjects = Object.fromEntries(sessions.map(([engine], index) => [engine, ask(index)]))
  for (const subject of Object.values(subjects)) await subject()
  const measured = await interleave(subjects, sizes.rounds)
  for (const [, session] of sessions) await session.close()
  const rows = (pick: (millis: ReadonlyArray<number>) => number) =>
    Engines.all.map((engine) => ({
      key: engine,
      label: Engines.labels[engine],
      values: (measured[engine] ?? []).map(pick)
    }))
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
