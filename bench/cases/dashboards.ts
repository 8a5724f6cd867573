import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import type { Row, Table } from "../report/Table.js"
import type { Case } from "./Case.js"

const many = 50

const concurrency = 50

/** Long enough for what opening them costs to be a small part of it. */
const longer = 15

export const dashboards: Case = {
  name: "dashboards",
  title: "Open dashboards",
  measure: async ({ folder, open, progress, sizes }) => {
    const server = await open("HttpServer", { filename: join(folder, "executor.db"), full: false })
    const client = await open("Dashboards", {})
    const address = await server.ask({ _tag: "Address" })
    if (address._tag !== "Address") throw new Error("the server did not tell its address")
    const { port, token } = address

    const load = async (millis: number) => {
      const loaded = await server.ask({ _tag: "Load", concurrency, millis })
      if (loaded._tag !== "Load") throw new Error("the server did not tell what it executed")
      return loaded
    }
    const none = async () => ({
      ...(await load(sizes.roundMillis * longer)),
      requestsPerSecond: 0,
      eventsPerSecond: 0
    })
    const open50 = async () => {
      const millis = sizes.roundMillis * longer
      const [looked, loaded] = await Promise.all([
        client.ask({ port, token, dashboards: many, millis }),
        load(millis)
      ])
      return { ...loaded, ...looked }
    }
    progress("dashboards: warms up")
    await load(sizes.warmUpMillis)
    progress("dashboards: none, and fifty")
    const measured = await interleave({ none, open: open50 }, sizes.rounds)
    for (const session of [client, server]) await session.close()

    const rows = (pick: (output: (typeof measured.none)[number]) => number): ReadonlyArray<Row> => [
      { key: "none", label: "no dashboard is open", values: measured.none.map(pick) },
      {
        key: "open",
        label: `${many} dashboards are open`,
        values: measured.open.map(pick)
      }
    ]
    const tables: ReadonlyArray<Table> = [
      {
        id: "dashboards",
        title: `Runs of 3 steps, concurrency ${concurrency}`,
        unit: "steps/s",
        better: "higher",
        rows: rows(({ stepsPerSecond }) => stepsPerSecond),
        baselines: ["none"]
      },
      {
        id: "dashboards-cpu",
        title: "The executor's processor time for a step",
        unit: "µs",
        better: "lower",
        rows: rows(({ cpuMicrosPerStep }) => cpuMicrosPerStep),
        baselines: ["none"]
      },
      {
        id: "dashboards-requests",
        title: "What the dashboards ask for",
        unit: "requests/s",
        better: "lower",
        rows: [
          {
            key: "requests",
            label: "requests",
            values: measured.open.map(({ requestsPerSecond }) => requestsPerSecond)
          },
          {
            key: "events",
            label: "events that they are told",
            values: measured.open.map(({ eventsPerSecond }) => eventsPerSecond)
          }
        ],
        baselines: []
      }
    ]
    return tables
  }
}
