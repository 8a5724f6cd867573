/** `npm run campaign`: a campaign of any length. */
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Campaign from "./Campaign.js"
import { defaults, type Options } from "./Work.js"

const usage = `npm run campaign -- [options]

  --kills <n>       executors that are killed (default ${defaults.kills})
  --drains <n>      executors that are drained (default ${defaults.drains})
  --freezes <n>     executors that are stopped past their lease, and go on (default ${defaults.freezes})
  --rolls <n>       times that all executors are replaced, one after the other (default 0)
  --postgres        on a PostgreSQL of its own, in place of a file; and there besides:
  --restarts <n>    times that the server is ended and comes up again (default 0)
  --holes <n>       times that the network of an executor swallows everything (default 0)
  --resets <n>      times that all connections of an executor are cut (default 0)
  --steps <n>       steps that the runs come to, at least (default ${defaults.steps})
  --runs <n>        runs that are under way at a time (default ${defaults.runs})
  --executors <n>   executors at a time, 2 or more (default ${defaults.executors})
  --seed <n>        what is drawn at random (default ${defaults.seed})
  --keep <folder>   where what the processes have said is kept (default: nowhere)
  --help            this text

Ends with 0 when every promise was kept, with 1 when one was not.`

const least = {
  seed: 0,
  executors: 2,
  kills: 0,
  drains: 0,
  freezes: 0,
  rolls: 0,
  restarts: 0,
  holes: 0,
  resets: 0,
  runs: 1,
  steps: 1
}

const { values } = parseArgs({
  options: {
    kills: { type: "string" },
    drains: { type: "string" },
    freezes: { type: "string" },
    rolls: { type: "string" },
    restarts: { type: "string" },
    holes: { type: "string" },
    resets: { type: "string" },
    postgres: { type: "boolean", default: false },
    steps: { type: "string" },
    runs: { type: "string" },
    executors: { type: "string" },
    seed: { type: "string" },
    keep: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const option = (name: keyof typeof least): number => {
  const text = values[name]
  if (text === undefined) return defaults[name] ?? 0
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
  rolls: option("rolls"),
  postgres: values.postgres,
  restarts: option("restarts"),
  holes: option("holes"),
  resets: option("resets"),
  runs: option("runs"),
  steps: option("steps"),
  keep: values.keep === undefined ? undefined : resolve(values.keep)
})

const campaign = Effect.gen(function* () {
  const outcome = yield* Campaign.run(read(), (line) => Console.error(`  ${line}`))
  yield* Console.log(Campaign.describe(outcome))
  if (!Campaign.isKept(outcome)) process.exitCode = 1
})

await Effect.runPromise(values.help ? Console.log(usage) : campaign)
