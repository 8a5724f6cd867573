/** What the steps of a campaign have said, in a file for each process. */
import { open, readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Said } from "./Verdict.js"

const decode = Schema.decodeUnknownSync(
  Schema.parseJson(
    Schema.Struct({
      event: Schema.Literal("began", "ended", "compensated"),
      runId: Schema.String,
      step: Schema.String,
      execution: Schema.String,
      at: Schema.Number
    })
  )
)

/** All of it; a line that a killed process has not written to its end was never said. */
export const read = (folder: string): Effect.Effect<ReadonlyArray<Said>> =>
  Effect.promise(async () => {
    const said: Array<Said> = []
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name), "utf8")
      const pid = Number.parseInt(name, 10)
      for (const line of text.split("\n").slice(0, -1)) said.push({ pid, ...decode(line) })
    }
    return said
  })

/** Counts steps that have ended, without reading anything twice. */
export class Progress {
  /** Of all that was looked at. */
  steps = 0
  private readonly offsets = new Map<number, number>()
  private readonly buffer = Buffer.alloc(1024 * 1024)

  constructor(private readonly folder: string) {}

  look(pids: ReadonlyArray<number>): Effect.Effect<number> {
    return Effect.promise(async () => {
      for (const pid of pids) await this.lookAt(pid)
      return this.steps
    })
  }

  private async lookAt(pid: number): Promise<void> {
    const file = await open(join(this.folder, `${pid}.jsonl`)).catch(() => undefined)
    if (file === undefined) return
    try {
      while (true) {
        const from = this.offsets.get(pid) ?? 0
        const { bytesRead } = await file.read(this.buffer, 0, this.buffer.length, from)
        const text = this.buffer.toString("latin1", 0, bytesRead)
        const end = text.lastIndexOf("\n") + 1
        if (end === 0) return
        this.steps += text.slice(0, end).split('"event":"ended"').length - 1
        this.offsets.set(pid, from + end)
      }
    } finally {
      await file.close()
    }
  }
}
