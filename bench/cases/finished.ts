import { join } from "node:path"
import { interleave } from "../harness/Rounds.js"
import * as Seeded from "../seed/Seeded.js"
import type { Case } from "./Case.js"

const concurrency = 50

export const finished: Case = {
  name: "finished",
  title: "On a file full of finished runs",
  measure: async (context) => {
    const { folder, open, progress, sizes } = context
    const full = join(folder, "full.db")
    await Seeded.makeCached(context, full, { kind: "finished", count: sizes.finished })
    const engine = "sqlite"
    const shape = { steps: 3, made: "once" } as const
    const onEmpty = await open("Throughput", {
      engine,
      filename: join(folder, "empty.db"),
      shape
    })
    const onFull = await open("Throughput", { engine, filename: full, shape })
    const input = { concurrency, millis: sizes.roundMillis }
    progress("warms up")
    for (const session of [onEmpty, onFull]) {
      await session.ask({ concurrency, millis: sizes.warmUpMillis })
    }
    progress("empty and full file in turn")
    const measured = await interleave(
      { empty: () => onEmpty.ask(input), full: () => onFull.ask(input) },
      sizes.rounds
    )
    await onEmpty.close()
    await onFull.close()
    const count = sizes.finished.toLocaleString("en-US")
    return [
      {
        id: "finished",
        title: `3 steps, concurrency ${concurrency}, with ${count} finished runs in the file`,
        unit: "steps/s",
        better: "higher",
        rows: [
          {
            key: "empty",
            label: "empty file",
            values: measured.empty.map(({ stepsPerSecond }) => stepsPerSecond)
          },
          {
            key: "full",
            label: `${count} finished runs`,
            values: measured.full.map(({ stepsPerSecond }) => stepsPerSecond)
          }
        ],
        baselines: ["empty"]
      }
    ]
  }
}
