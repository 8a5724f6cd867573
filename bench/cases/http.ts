import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import type { Row, Table } from "../report/Table.js"
import type { Output } from "../tasks/HttpClient.js"
import type { SessionOf } from "../tasks/Tasks.js"
import type { Case, Context } from "./Case.js"

const connections = 50

/** Of `/health`: enough to meet every pause of the server, too few to be a load. */
const probes = { connections: 4, pauseMillis: 10 }

const concurrency = 50

interface Server {
  readonly session: SessionOf<"HttpServer">
  readonly port: number
  readonly token: string
}

const serve = async (open: Context["open"], filename: string, full: boolean): Promise<Server> => {
  const session = await open("HttpServer", { filename, full })
  const address = await session.ask({ _tag: "Address" })
  if (address._tag !== "Address") throw new Error("the server did not tell its address")
  return { session, port: address.port, token: address.token }
}

/** Asks for as long as the children are expected to take. */
const fansIn = async (
  { port, session, token }: Server,
  client: SessionOf<"HttpClient">,
  { children, rounds }: Context["sizes"]
): Promise<ReadonlyArray<Output>> => {
  const fanIn = async () => {
    const output = await session.ask({ _tag: "FanIn", children })
    return output._tag === "FanIn" ? output.millis : 0
  }
  let millis = await fanIn()
  const healths: Array<Output> = []
  for (let round = 0; round < rounds; round++) {
    const [taken, health] = await Promise.all([
      fanIn(),
      client.ask({ _tag: "Health", port, token, millis: 0.9 * millis, ...probes })
    ])
    millis = taken
    healths.push(health)
  }
  return healths
}

const healthRows = (healths: ReadonlyArray<Output>): ReadonlyArray<Row> => {
  const row = (key: string, pick: (output: Output) => number): Row => ({
    key,
    label: `/health, ${key}`,
    values: healths.map(pick)
  })
  return [
    row("median", ({ median }) => median),
    row("p99", ({ p99 }) => p99),
    row("highest", ({ highest }) => highest)
  ]
}

export const http: Case = {
  name: "http",
  title: "HTTP",
  measure: async ({ folder, open, progress, sizes }) => {
    const executing = await serve(open, join(folder, "executing.db"), false)
    const full = await serve(open, join(folder, "full.db"), true)
    const client = await open("HttpClient", {})

    const start = async ({ port, session, token }: Server, millis: number) => {
      const output = await client.ask({ _tag: "Start", port, token, connections, millis })
      await session.ask({ _tag: "Settle" })
      return output
    }
    const load = async ({ port, session, token }: Server, millis: number) => {
      const [loaded, health] = await Promise.all([
        session.ask({ _tag: "Load", concurrency, millis }),
        client.ask({ _tag: "Health", port, token, millis, ...probes })
      ])
      return { stepsPerSecond: loaded._tag === "Load" ? loaded.stepsPerSecond : 0, health }
    }

    progress("HTTP warms up")
    for (const server of [executing, full]) await start(server, sizes.warmUpMillis)
    await load(executing, sizes.warmUpMillis)
    progress("POST /runs")
    const starts = await interleave(
      {
        executing: () => start(executing, sizes.roundMillis),
        full: () => start(full, sizes.roundMillis)
      },
      sizes.rounds
    )
    progress("GET /health while steps run")
    const { loaded } = await interleave(
      { loaded: () => load(executing, sizes.roundMillis) },
      sizes.rounds
    )
    progress("GET /health while a run starts its children")
    const fanIn = await fansIn(executing, client, sizes)
    for (const session of [client, executing.session, full.session]) await session.close()

    const startRows = (pick: (output: (typeof starts.full)[number]) => number) => [
      {
        key: "executing",
        label: "runs of 3 steps are executed meanwhile",
        values: starts.executing.map(pick)
      },
      { key: "full", label: "runs wait for room", values: starts.full.map(pick) }
    ]
    const tables: ReadonlyArray<Table> = [
      {
        id: "http-start",
        title: `POST /runs over ${connections} connections, each answered once its run is durable`,
        unit: "requests/s",
        better: "higher",
        rows: startRows(({ perSecond }) => perSecond),
        baselines: []
      },
      {
        id: "http-start-p99",
        title: `POST /runs over ${connections} connections: 99th percentile`,
        unit: "ms",
        better: "lower",
        rows: startRows(({ p99 }) => p99),
        baselines: []
      },
      {
        id: "http-health",
        title: `GET /health while steps run at full speed, concurrency ${concurrency}`,
        unit: "ms",
        better: "lower",
        rows: healthRows(loaded.map(({ health }) => health)),
        baselines: []
      },
      {
        id: "http-health-fan-in",
        title: `GET /health while a run has ${sizes.children.toLocaleString("en-US")} children, all at once`,
        unit: "ms",
        better: "lower",
        rows: healthRows(fanIn),
        baselines: []
      },
      {
        id: "http-health-load",
        title: "Steps meanwhile",
        unit: "steps/s",
        better: "higher",
        rows: [
          {
            key: "steps",
            label: "3 steps",
            values: loaded.map(({ stepsPerSecond }) => stepsPerSecond)
          }
        ],
        baselines: []
      }
    ]
    return tables
  }
}
