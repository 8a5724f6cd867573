import { join } from "node:path"
import type { Row, Table } from "../report/Table.js"
import * as Seeded from "../seed/Seeded.js"
import type { Input } from "../tasks/Seed.js"
import type { Output } from "../tasks/StartUp.js"
import type { Case } from "./Case.js"

interface Kind {
  readonly key: string
  readonly label: string
  readonly seed: Pick<Input, "kind" | "wakeAt">
}

const kinds: ReadonlyArray<Kind> = [
  { key: "pending", label: "pending", seed: { kind: "pending" } },
  { key: "held", label: "held by an executor that died", seed: { kind: "held" } },
  { key: "overdue", label: "sleeping, all overdue", seed: { kind: "sleeping", wakeAt: 1 } },
  { key: "sleeping", label: "sleeping; one is pending", seed: { kind: "sleeping" } }
]

export const startup: Case = {
  name: "startup",
  title: "Starting with much to do",
  measure: async (context) => {
    const { folder, open, progress, sizes } = context
    const measured: Array<{ readonly kind: Kind; readonly outputs: ReadonlyArray<Output> }> = []
    for (const kind of kinds) {
      const seeded = join(folder, `${kind.key}.db`)
      await Seeded.make(context, seeded, { ...kind.seed, count: sizes.unfinished })
      if (kind.key === "sleeping") await Seeded.make(context, seeded, { kind: "pending", count: 0 })
      const outputs: Array<Output> = []
      for (let round = 0; round < sizes.coldRounds; round++) {
        const filename = join(folder, `${kind.key}-${round}.db`)
        await Seeded.copy(seeded, filename)
        progress(`starts with ${sizes.unfinished} runs: ${kind.label}`)
        const session = await open("StartUp", { filename })
        outputs.push(await session.ask(kind.key === "sleeping" ? 1 : sizes.unfinished / 50))
        await session.close()
      }
      measured.push({ kind, outputs })
    }
    const runs = `${sizes.unfinished.toLocaleString("en-US")} unfinished runs`
    const table = (id: string, title: string, pick: (output: Output) => number): Table => ({
      id,
      title,
      unit: "ms",
      better: "lower",
      rows: measured.map(
        ({ kind, outputs }): Row => ({
          key: kind.key,
          label: kind.label,
          values: outputs.map(pick)
        })
      ),
      baselines: []
    })
    return [
      table(
        "startup",
        `Start with ${runs}: from the start of the process to the first step`,
        ({ firstStepMillis }) => firstStepMillis
      ),
      table(
        "startup-many",
        `Start with ${runs}: to the first ${sizes.unfinished / 50} steps`,
        ({ lastStepMillis }) => lastStepMillis
      ),
      table(
        "startup-block",
        `Start with ${runs}: longest time that the event loop was held up`,
        ({ blockMillis }) => blockMillis
      ),
      table("startup-stop", `Start with ${runs}: stop after that`, ({ stopMillis }) => stopMillis)
    ]
  }
}
