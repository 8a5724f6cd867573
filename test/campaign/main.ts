/** `npm run campaign`: a campaign of any length. */
import { parseArgs } from "node:util"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Campaign from "./Campaign.js"
import { defaults, type Options } from "./Work.js"

const usage = `npm run campaign -- [options]

  --kills <n>       executors that are killed (default ${defaults.kills})
  --drains <n>      executors that are drained (default ${defaults.drains})
  --freezes <n>     executors that are stopped past their lease, and go on (default ${defaults.freezes})
  --steps <n>       steps that the runs come to, at least (default ${defaults.steps})
  --executors <n>   executors at a time, 2 or more (default ${defaults.executors})
  --seed <n>        what is drawn at random (default ${defaults.seed})
  --help            this text

Ends with 0 when every promise was kept, with 1 when one was not.`

const least: Options = { seed: 0, executors: 2, kills: 0, drains: 0, freezes: 0, steps: 1 }

const { values } = parseArgs({
  options: {
    kills: { type: "string" },
    drains: { type: "string" },
    freezes: { type: "string" },
    steps: { type: "string" },
    executors: { type: "string" },
    seed: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const option = (name: keyof Options): number => {
  const text = values[name]
  if (text === undefined) return defaults[name]
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= least[name] && Number.isSafeInteger(value)) return value
  throw new Error(
    `--${name} is a whole number of ${least[name]} or more, not ${JSON.stringify(text)}`
  )
}

const read = (): Options => ({
  seed: option("seed"),
  executors: option("executors"),
  kills: option("kills"),
  drains: option("drains"),
  freezes: option("freezes"),
  steps: option("steps")
})

const campaign = Effect.gen(function* () {
  const outcome = yield* Campaign.run(read(), (line) => Console.error(`  ${line}`))
  yield* Console.log(Campaign.describe(outcome))
  if (!Campaign.isKept(outcome)) process.exitCode = 1
})

await Effect.runPromise(values.help ? Console.log(usage) : campaign)
