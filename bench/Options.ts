import { parseArgs } from "node:util"
import type { Sizes } from "./Sizes.js"
import * as Size from "./Sizes.js"

export interface Options {
  /** Names of the cases to measure; all when empty. */
  readonly cases: ReadonlyArray<string>
  readonly quick: boolean
  readonly publish: boolean
  readonly profile: boolean
  /** The folder of a checkout of a version before, to measure beside this one. */
  readonly against: string | undefined
  readonly help: boolean
  readonly sizes: Sizes
}

export const usage = `npm run bench -- [options]

  --case <name>   only this case; may be given more than once
  --rounds <n>    how often each engine is measured, in turn with the others (default 5)
  --against <dir> another checkout after npm ci: its engine is measured in turn with the others
  --quick         small sizes: shows that everything works, its numbers mean nothing
  --publish       copies JSON and charts of a whole run to docs/benchmarks as well
  --profile       a CPU profile of each child process, and what is on top in it; slows them down
  --help          this text and the names of the cases`

const wholeNumber = (name: string, text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`--${name} is a whole number of 1 or more, not ${JSON.stringify(text)}`)
  }
  return value
}

export const parse = (args: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      case: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      against: { type: "string" },
      quick: { type: "boolean", default: false },
      publish: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  const quick = values.quick
  const sizes = quick ? Size.quick : Size.full
  return {
    cases: values.case,
    quick,
    publish: values.publish,
    profile: values.profile,
    against: values.against,
    help: values.help,
    sizes:
      values.rounds === undefined
        ? sizes
        : { ...sizes, rounds: wholeNumber("rounds", values.rounds) }
  }
}
