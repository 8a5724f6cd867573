import { join } from "node:path"
import * as Engines from "../Engines.js"
import * as Database from "../harness/Database.js"
import * as Network from "../harness/Network.js"
import { interleave } from "../harness/Rounds.js"
import type { Row, Table } from "../report/Table.js"
import { number } from "../report/Text.js"
import type { Output } from "../tasks/Throughput.js"
import type { Case, Context } from "./Case.js"
import { betweenProcesses } from "./signal.js"

const shape = { steps: 3, made: "once" } as const

const eachWayMillis = 1

const compiling = 50

export const postgres: Case = {
  name: "postgres",
  title: "PostgreSQL beside SQLite",
  measure: async (context) => {
    context.progress("starts a PostgreSQL")
    const database = await Database.start()
    try {
      const network = await Network.slow(database.url, eachWayMillis)
      try {
        return await measure(context, { database, network })
      } finally {
        network.close()
      }
    } finally {
      await database.stop()
    }
  }
}

interface Servers {
  readonly database: Database.Database
  readonly network: Network.Network
}

const measure = async (context: Context, servers: Servers): Promise<ReadonlyArray<Table>> => {
  const { database, network } = servers
  const near = number(await Database.roundTrip(database.url))
  const far = number(await Database.roundTrip(network.url))
  const note =
    `PostgreSQL ${database.version} beside the executor, durable as it comes. ` +
    `SELECT 1 takes ${near} ms, and ${far} ms with ${eachWayMillis} ms each way.`
  const measured: Array<readonly [number, Measured]> = []
  for (const concurrency of [1, 50, 500]) {
    measured.push([concurrency, await compare(context, servers, concurrency)])
  }
  return [
    ...measured.map(([concurrency, outputs]) => rates(concurrency, outputs, note)),
    executorCpu(measured),
    ...databaseCpu(measured),
    await signals(context, database)
  ]
}

const labels = {
  sqlite: Engines.labels.sqlite,
  postgres: Engines.postgresLabel,
  far: `${Engines.postgresLabel}, ${eachWayMillis} ms each way`
} as const

type Subject = keyof typeof labels

const subjects: ReadonlyArray<Subject> = ["sqlite", "postgres", "far"]

interface Round extends Output {
  /** Of the database's processes, for a step. */
  readonly databaseMicros: number | undefined
}

type Measured = Readonly<Record<Subject, ReadonlyArray<Round>>>

/** Each in a process and on a file or a schema of its own, in turn. */
const compare = async (
  { folder, open, progress, sizes }: Context,
  { database, network }: Servers,
  concurrency: number
): Promise<Measured> => {
  const on = (url: string, schema: string) =>
    open("Throughput", { engine: "postgres", url, schema, shape })
  const sessions = {
    sqlite: await open("Throughput", {
      engine: "sqlite",
      filename: join(folder, `postgres-${concurrency}.db`),
      shape
    }),
    postgres: await on(database.url, `near_${concurrency}`),
    far: await on(network.url, `far_${concurrency}`)
  }
  const round = (subject: Subject, millis: number) => async (): Promise<Round> => {
    progress(`concurrency ${concurrency}: ${labels[subject]}`)
    const before = database.cpuMicros()
    const output = await sessions[subject].ask({ concurrency, millis })
    const after = database.cpuMicros()
    const databaseMicros =
      before === undefined || after === undefined
        ? undefined
        : (after - before) / (output.runs * shape.steps)
    return { ...output, databaseMicros }
  }
  for (const subject of subjects) {
    // one at a time takes too long to come by what is compiled
    await sessions[subject].ask({ concurrency: compiling, millis: sizes.warmUpMillis })
    await round(subject, sizes.roundMillis)()
  }
  const measured = await interleave(
    {
      sqlite: round("sqlite", sizes.roundMillis),
      postgres: round("postgres", sizes.roundMillis),
      far: round("far", sizes.roundMillis)
    },
    sizes.rounds
  )
  for (const subject of subjects) await sessions[subject].close()
  return measured
}

const rows = (measured: Measured, pick: (output: Round) => number): ReadonlyArray<Row> =>
  subjects.map((subject) => ({
    key: subject,
    label: labels[subject],
    values: measured[subject].map(pick)
  }))

const rates = (concurrency: number, measured: Measured, note: string): Table => ({
  id: `postgres-${concurrency}`,
  title: `3 steps, concurrency ${concurrency}`,
  unit: "steps/s",
  better: "higher",
  rows: rows(measured, ({ stepsPerSecond }) => stepsPerSecond),
  baselines: ["sqlite"],
  note
})

const executorCpu = (measured: ReadonlyArray<readonly [number, Measured]>): Table => ({
  id: "postgres-cpu",
  title: "CPU time of a step, in the executor's process",
  unit: "µs",
  better: "lower",
  rows: measured.flatMap(([concurrency, outputs]) =>
    rows(outputs, ({ cpuMicrosPerStep }) => cpuMicrosPerStep).map((row) => ({
      ...row,
      key: `${row.key}-${concurrency}`,
      label: `${row.label}, concurrency ${concurrency}`
    }))
  ),
  baselines: []
})

/** Left out where the system does not tell. */
const databaseCpu = (
  measured: ReadonlyArray<readonly [number, Measured]>
): ReadonlyArray<Table> => {
  const row = ([concurrency, { postgres }]: readonly [number, Measured]): Row => ({
    key: String(concurrency),
    label: `concurrency ${concurrency}`,
    values: postgres.flatMap(({ databaseMicros }) => databaseMicros ?? [])
  })
  const told = measured.map(row).filter(({ values }) => values.length > 0)
  return told.length === 0
    ? []
    : [
        {
          id: "postgres-database",
          title: "CPU time of a step, in all processes of the database",
          unit: "µs",
          better: "lower",
          rows: told,
          baselines: []
        }
      ]
}

const signals = (context: Context, { url }: Database.Database): Promise<Table> => {
  const on = { engine: "postgres", url, schema: "signals" } as const
  return betweenProcesses(context, {
    id: "postgres-signal",
    title: "Signal on one executor to the next step on another",
    label: Engines.postgresLabel,
    receiver: on,
    sender: on
  })
}
