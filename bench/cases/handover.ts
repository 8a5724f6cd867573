import { join } from "node:path"
import * as Engines from "../Engines.js"
import * as Database from "../harness/Database.js"
import * as Hosts from "../harness/Hosts.js"
import { pause, sharedMillis } from "../harness/Process.js"
import { quantile } from "../harness/Stats.js"
import type { Row, Table } from "../report/Table.js"
import type { Input, Output, Said } from "../tasks/HandOver.js"
import type { Params } from "../tasks/Tasks.js"
import { type Case, type Context, Skipped } from "./Case.js"

const executors = 3

/** Of each executor, when one of them goes. */
const runsOfEach = 3

/** They go on for a while yet when it does. */
const steps = 60
const untilItGoesMillis = 100

/** What a new one executes before anything is asked of it. */
const warmUp = { runs: 30, steps: 20 }

/** From then on an executor on PostgreSQL looks for the others'. */
const settledMillis = 3_500

const patienceMillis = 60_000

/** How often one is cut off, at most: each time takes as long as a lease. */
const cutOffs = 3

interface Subject {
  readonly key: string
  readonly label: string
  readonly on: Params<"HandOver">
  readonly goes: keyof typeof ways
  /** Each executor is on one of its own. */
  readonly hosts?: Hosts.Hosts | undefined
}

/** How an executor goes, and what is said of that. */
const ways = {
  drained: "drained",
  killed: "killed",
  cutOff: "cut off from the network"
} as const

export const handover: Case = {
  name: "handover",
  title: "From the end of an executor to the next step of its runs on another",
  measure: async (context) => {
    const database = await started(context)
    try {
      const here = await tablesOf(context, subjectsOf(context, database))
      return database === undefined ? here : [...here, ...(await betweenHosts(context))]
    } finally {
      await database?.stop()
    }
  }
}

const tablesOf = async (context: Context, subjects: ReadonlyArray<Subject>) => {
  const tables: Array<Table> = []
  for (const subject of subjects) {
    tables.push(tableOf(subject, await measure(context, subject)))
  }
  return tables
}

/** Left out where there can be none. */
const betweenHosts = async (context: Context): Promise<ReadonlyArray<Table>> => {
  const hosts = Hosts.make()
  if (hosts === undefined) return []
  try {
    context.progress("starts a PostgreSQL for other hosts")
    const { database, there } = await Database.startFor(hosts)
    try {
      const on = (goes: Subject["goes"]): Subject => ({
        key: `postgres-hosts-${goes}`,
        label: Engines.postgresLabel,
        on: { engine: "postgres", url: there, schema: goes.toLowerCase() },
        goes,
        hosts
      })
      return await tablesOf(context, [on("drained"), on("killed"), on("cutOff")])
    } finally {
      await database.stop()
    }
  } finally {
    hosts.remove()
  }
}

/** The file is measured without one, too. */
const started = async ({ progress }: Context) => {
  progress("starts a PostgreSQL")
  try {
    return await Database.start()
  } catch (error) {
    if (error instanceof Skipped) return undefined
    throw error
  }
}

const subjectsOf = (
  { folder }: Context,
  database: Database.Database | undefined
): ReadonlyArray<Subject> => {
  const { sqlite } = Engines.labels
  const file = { engine: "sqlite", filename: join(folder, "handover.db") } as const
  const drained = { key: "sqlite", label: sqlite, on: file, goes: "drained" } as const
  if (database === undefined) return [drained]
  const { url } = database
  const on = (goes: Subject["goes"]): Subject => ({
    key: `postgres-${goes}`,
    label: Engines.postgresLabel,
    on: { engine: "postgres", url, schema: goes },
    goes
  })
  return [drained, on("drained"), on("killed")]
}

/** Of every run that the one that went had at work, in milliseconds. */
const measure = async (
  { open, progress, sizes }: Context,
  { goes, hosts, label, on }: Subject
): Promise<ReadonlyArray<number>> => {
  let started = 0
  const ids = (count: number) => Array.from({ length: count }, () => `run-${started++}`)
  const members: Array<Going> = []
  const another = async () => {
    const host = hosts?.add()
    const session = await open("HandOver", on, { host })
    return enter({ ...session, host }, members, ids(warmUp.runs))
  }
  for (let n = 0; n < executors; n++) members.push(await another())
  const gaps: Array<number> = []
  const times = goes === "cutOff" ? Math.min(cutOffs, sizes.handOvers) : sizes.handOvers
  for (let round = 0; round < times; round++) {
    progress(`${label}, ${ways[goes]}: ${round + 1} of ${times}`)
    if (goes !== "drained") await pause(settledMillis)
    const fresh = ids(executors * runsOfEach)
    for (const [index, member] of members.entries()) {
      const own = fresh.slice(index * runsOfEach, (index + 1) * runsOfEach)
      await member.ask({ _tag: "Start", ids: own, steps })
    }
    await pause(untilItGoesMillis)
    const leaving = members.shift()
    if (leaving === undefined) throw new Error("nobody is left")
    const { at, said } = await go[goes](leaving)
    const last = lastOf(said, new Set(fresh))
    const next = await goesOn(members, new Set(last.keys()), at)
    for (const [id, then] of next) gaps.push(then - Math.max(at, last.get(id) ?? at))
    if (goes === "cutOff") await leaving.kill()
    members.push(await another())
  }
  for (const member of members) await member.close()
  return gaps
}

/** It, or the others for it, have executed something before anything is measured. */
const enter = async (
  session: Going,
  others: ReadonlyArray<Going>,
  ids: ReadonlyArray<string>
): Promise<Going> => {
  await session.ask({ _tag: "Start", ids, steps: warmUp.steps })
  const runs = new Set(ids)
  let said = 0
  await until("a new executor's runs are not over", async () => {
    for (const member of [session, ...others]) {
      const { said: lines } = await member.ask({ _tag: "Said" })
      said += lines.filter(([id]) => runs.has(id)).length
    }
    return said >= 2 * runs.size * warmUp.steps
  })
  return session
}

const until = async (otherwise: string, holds: () => Promise<boolean>): Promise<void> => {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > patienceMillis) throw new Error(otherwise)
    await pause(20)
  }
}

interface Going {
  readonly ask: (input: Input) => Promise<Output>
  readonly close: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly host: Hosts.Host | undefined
}

const drain = async (leaving: Going): Promise<Output> => {
  const output = await leaving.ask({ _tag: "Stop" })
  await leaving.close()
  return output
}

const kill = async (leaving: Going): Promise<Output> => {
  const { said } = await leaving.ask({ _tag: "Said" })
  const at = sharedMillis()
  await leaving.kill()
  return { at, said }
}

const cutOff = async (leaving: Going): Promise<Output> => {
  const { said } = await leaving.ask({ _tag: "Said" })
  const at = sharedMillis()
  leaving.host?.cutOff()
  return { at, said }
}

const go = { drained: drain, killed: kill, cutOff }

/** When those of these runs that are not over were last heard of. */
const lastOf = (said: ReadonlyArray<Said>, runs: ReadonlySet<string>) => {
  const times = new Map<string, ReadonlyArray<number>>()
  for (const [id, at] of said) if (runs.has(id)) times.set(id, [...(times.get(id) ?? []), at])
  const unfinished = [...times].filter(([, all]) => all.length < 2 * steps)
  return new Map(unfinished.map(([id, all]) => [id, Math.max(...all)] as const))
}

/** When each of these runs is first heard of from one of them, later than that. */
const goesOn = async (
  members: ReadonlyArray<Going>,
  runs: ReadonlySet<string>,
  after: number
): Promise<ReadonlyMap<string, number>> => {
  const next = new Map<string, number>()
  await until("runs do not go on", async () => {
    for (const member of members) {
      for (const [id, at] of (await member.ask({ _tag: "Said" })).said) {
        if (runs.has(id) && at >= after && !next.has(id)) next.set(id, at)
      }
    }
    return next.size === runs.size
  })
  return next
}

const tableOf = ({ goes, hosts, key, label }: Subject, gaps: ReadonlyArray<number>): Table => {
  const row = (name: string, share: number): Row => ({
    key: name === "median" ? "median" : "p99",
    label: `${label}, ${name}`,
    values: [quantile(gaps, share)]
  })
  return {
    id: `handover-${key}`,
    title: `From the end of an executor to the next step on another: ${ways[goes]}${hosts === undefined ? "" : ", each on a host of its own"}`,
    unit: "ms",
    better: "lower",
    rows: [row("median", 0.5), row("99th percentile", 0.99)],
    baselines: [],
    note:
      `${gaps.length} runs, of ${executors} executors ${hosts === undefined ? "on one machine" : "in network namespaces of their own, as on machines that share their processors"}. A step takes 5 ms.` +
      (goes !== "drained" ? ` The others have been there for ${settledMillis} ms.` : "")
  }
}
