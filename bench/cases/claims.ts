import * as Database from "../harness/Database.js"
import { quantile } from "../harness/Stats.js"
import type { Row } from "../report/Table.js"
import type { Case } from "./Case.js"

/** In a round. */
const claimsOfRound = 200

export const claims: Case = {
  name: "claims",
  title: "Claims on PostgreSQL, among many runs",
  measure: async ({ open, progress, sizes }) => {
    progress("starts a PostgreSQL")
    const database = await Database.start()
    try {
      const session = await open("Claims", { url: database.url, schema: "claims" })
      const rounds = async () => {
        const measured: Array<ReadonlyArray<number>> = []
        await session.ask({ _tag: "Claim", claims: claimsOfRound })
        while (measured.length < sizes.rounds) {
          measured.push(await session.ask({ _tag: "Claim", claims: claimsOfRound }))
        }
        return measured
      }
      progress("claims where there is nothing else")
      const empty = await rounds()
      const { claimFinished: finished, claimSleeping: sleeping } = sizes
      const many = `${finished.toLocaleString("en-US")} finished and ${sleeping.toLocaleString("en-US")} sleeping runs`
      progress(`adds ${many}`)
      await session.ask({ _tag: "Fill", finished, sleeping })
      progress(`claims among ${many}`)
      const full = await rounds()
      await session.close()
      const row = (key: string, label: string, measured: typeof full, share: number): Row => ({
        key,
        label,
        values: measured.map((millis) => quantile(millis, share))
      })
      return [
        {
          id: "claims",
          title: "A claim of one run",
          unit: "ms",
          better: "lower",
          rows: [
            row("empty", "nothing else, median", empty, 0.5),
            row("empty-p99", "nothing else, 99th percentile", empty, 0.99),
            row("full", `${many}, median`, full, 0.5),
            row("full-p99", `${many}, 99th percentile`, full, 0.99)
          ],
          baselines: ["empty"]
        }
      ]
    } finally {
      await database.stop()
    }
  }
}
