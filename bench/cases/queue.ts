import { join } from "node:path"
import { quantile } from "../harness/Stats.js"
import type { Output } from "../tasks/Queue.js"
import type { Case } from "./Case.js"

const limit = 50

export const queue: Case = {
  name: "queue",
  title: "Claims where many runs wait in one queue",
  measure: async ({ folder, open, progress, sizes }) => {
    const { queued: waiting, queueKeys: keys } = sizes
    progress(`puts ${waiting.toLocaleString("en-US")} runs into a queue`)
    const filename = join(folder, "queue.db")
    const session = await open("Queue", { filename, waiting, keys, limit })
    progress("warms up")
    await session.ask({ claims: sizes.queueClaims })
    progress("claims")
    const rounds: Array<Output> = []
    while (rounds.length < sizes.rounds) {
      rounds.push(await session.ask({ claims: sizes.queueClaims }))
    }
    await session.close()
    const of = (share: number) => rounds.map(({ claimMillis }) => quantile(claimMillis, share))
    return [
      {
        id: "queue",
        title: `A claim of ${limit} of ${waiting.toLocaleString("en-US")} runs that wait, with ${keys.toLocaleString("en-US")} keys`,
        unit: "ms",
        better: "lower",
        rows: [
          { key: "median", label: "median", values: of(0.5) },
          { key: "p99", label: "p99", values: of(0.99) }
        ],
        baselines: [],
        note: `Each was claimed with its slot; ${Math.round(rounds[0]?.putMicros ?? 0)} µs to put one there.`
      }
    ]
  }
}
