/**
 * `npm run bench:cluster`: the same workflow on `@effect/cluster` and on this executor, both on
 * PostgreSQL, and what becomes of its runs when a process is stopped, killed, frozen or joined.
 *
 * What is looked at takes seconds to minutes, so the faults of one engine are looked at side by side.
 * Less of it: `npm run bench:cluster -- --engine executor --fault kill`.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Pg from "pg"
import { Skipped } from "../cases/Case.js"
import * as Database from "../harness/Database.js"
import * as Faults from "./Faults.js"
import * as Fleet from "./Fleet.js"

const labels = { cluster: "@effect/cluster", executor: "this" } as const

type Engine = keyof typeof labels

const { values } = parseArgs({
  options: {
    engine: { type: "string", multiple: true, default: Object.keys(labels) },
    fault: { type: "string", multiple: true, default: Faults.all.map(({ name }) => name) }
  }
})

const engines = (["cluster", "executor"] as const).filter((name) => values.engine.includes(name))
const faults = Faults.all.filter(({ name }) => values.fault.includes(name))

const databaseOf = (engine: Engine, fault: Faults.Fault) => `${engine}-${fault.name}`

const measure = async (
  url: string,
  folder: string,
  engine: Engine,
  fault: Faults.Fault
): Promise<string> => {
  const name = databaseOf(engine, fault)
  const own = new URL(url)
  own.pathname = name
  const fleet = Fleet.make({ engine, url: own.href, file: join(folder, name) })
  try {
    const outcome = await Faults.measure(fleet, fault)
    console.error(`  ${labels[engine]}: ${fault.title}`)
    return Faults.line(labels[engine], outcome)
  } finally {
    await fleet.close()
  }
}

const main = async () => {
  const database = await Database.start(["max_connections=400"])
  const folder = await mkdtemp(join(tmpdir(), "effect-workflow-executor-cluster-"))
  const server = new Pg.Client({ connectionString: database.url })
  try {
    await server.connect()
    const lines: Array<string> = []
    for (const engine of engines) {
      for (const fault of faults) {
        await server.query(`CREATE DATABASE "${databaseOf(engine, fault)}"`)
      }
      const measured = faults.map((fault) => measure(database.url, folder, engine, fault))
      lines.push(...(await Promise.all(measured)))
    }
    console.log([`PostgreSQL ${database.version}`, "", Faults.header, ...lines].join("\n"))
  } finally {
    await server.end()
    await database.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  if (error instanceof Skipped) console.log(`skipped: ${error.message}`)
  else {
    console.error(error)
    process.exitCode = 1
  }
}
