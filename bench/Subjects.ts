/** What takes turns in the cases that compare engines. */
import type { Before } from "./Before.js"
import * as Engines from "./Engines.js"

export interface Subject {
  /** Names it in tables. */
  readonly key: string
  readonly label: string
  readonly engine: Engines.Engine
  /** Of another version: the module that its process starts with. */
  readonly worker?: string | undefined
}

/** The key of the version before. */
export const before = "before"

/** Our own engine on a file, beside that of the version before where there is one, and the others. */
export const make = (version: Before | undefined): ReadonlyArray<Subject> =>
  Engines.all.flatMap((engine): ReadonlyArray<Subject> => {
    const subject = { key: engine, label: Engines.labels[engine], engine }
    return engine === "sqlite" && version !== undefined
      ? [subject, { ...version, key: before, engine }]
      : [subject]
  })

/** What most figures are ratios to. */
export const baselines: ReadonlyArray<string> = [before, "upstream", "cluster"]
