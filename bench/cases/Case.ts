import type { Opener } from "../harness/Child.js"
import type { Table } from "../report/Table.js"
import type { Sizes } from "../Sizes.js"
import type { Subject } from "../Subjects.js"

export interface Context {
  readonly sizes: Sizes
  /** The engines, for a case that compares them. */
  readonly subjects: ReadonlyArray<Subject>
  /** A folder of the case's own, removed after it. */
  readonly folder: string
  /** Stays from run to run, under the system's folder of temporary files. */
  readonly cache: string
  readonly open: Opener["open"]
  /** What is being done, for whoever waits. */
  readonly progress: (text: string) => void
}

/** Something that the case needs is not there: no crash, and nothing is measured. */
export class Skipped extends Error {}

export interface Case {
  readonly name: string
  readonly title: string
  readonly measure: (context: Context) => Promise<ReadonlyArray<Table>>
}
