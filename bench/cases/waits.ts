import { join } from "node:path"
import * as Engines from "../Engines.js"
import { interleave } from "../harness/Rounds.js"
import type { Table } from "../report/Table.js"
import type { Input } from "../tasks/Waiting.js"
import type { Case, Context } from "./Case.js"

/** SingleRunner is left out: a loop of 1,000 sleeps takes it minutes. */
const all: ReadonlyArray<Engines.Engine> = ["sqlite", "memory", "upstream"]

/** Upstream's memory engine loses one of many wake-ups, and waits for ever. */
const ours: ReadonlyArray<Engines.Engine> = ["sqlite", "memory"]

export const waits: Case = {
  name: "waits",
  title: "Loops, fan-out and fan-in",
  measure: async (context) => {
    const { sizes } = context
    const tables: Array<Table> = []
    for (const kind of kinds(sizes.loops, sizes.children, sizes.replayed)) {
      tables.push(await measure(context, kind))
    }
    return tables
  }
}

interface Kind {
  readonly id: string
  readonly title: string
  readonly input: Input
  readonly cold?: boolean
  readonly engines?: ReadonlyArray<Engines.Engine>
}

const count = (many: number) => many.toLocaleString("en-US")

const kinds = (loops: number, children: number, replayed: number): ReadonlyArray<Kind> => {
  const few = Math.ceil(children / 12.5)
  return [
    {
      id: "loop",
      title: `A step and a sleep of 1 ms, ${count(loops)} times`,
      input: { _tag: "Loop", times: loops }
    },
    {
      id: "fan-out",
      title: `${count(few)} children with a step of 20 ms, five at a time`,
      input: { _tag: "FanOut", children: few, concurrency: 5, millis: 20 }
    },
    {
      id: "signalled",
      title: `${count(Math.ceil(few / 4))} children, signalled one after the other`,
      input: { _tag: "Signalled", children: Math.ceil(few / 4) },
      engines: ours
    },
    {
      id: "fan-in",
      title: `${count(children)} children, all at once`,
      input: { _tag: "FanOut", children, concurrency: 0, millis: 0 }
    },
    {
      id: "replay",
      title: `Signal to next step where ${count(replayed)} steps are replayed`,
      input: { _tag: "Replay", steps: replayed },
      cold: true
    }
  ]
}

const measure = async (
  { folder, open, progress, sizes }: Context,
  { cold = false, engines = all, id, input, title }: Kind
): Promise<Table> => {
  const sessions = await Promise.all(
    engines.map(async (engine) => {
      const filename = join(folder, `${id}-${engine}.db`)
      return [engine, await open("Waiting", { engine, filename, cold })] as const
    })
  )
  const ask = (session: (typeof sessions)[number]) => async () => {
    progress(`${title}: ${Engines.labels[session[0]]}`)
    return (await session[1].ask(input)).millis
  }
  const subjects = Object.fromEntries(sessions.map((session) => [session[0], ask(session)]))
  for (const subject of Object.values(subjects)) await subject()
  const measured = await interleave(subjects, sizes.coldRounds)
  for (const [, session] of sessions) await session.close()
  return {
    id,
    title,
    unit: "ms",
    better: "lower",
    rows: engines.map((engine) => ({
      key: engine,
      label: Engines.labels[engine],
      values: measured[engine] ?? []
    })),
    baselines: ["upstream"]
  }
}
