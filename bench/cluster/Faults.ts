/** What happens to the runs of a process that is stopped, killed, frozen or joined by another. */

import { pause, sharedMillis } from "../harness/Process.js"
import { largest, median } from "../harness/Stats.js"
import type { Fleet, Runner } from "./Fleet.js"
import type { Told } from "./Order.js"

export interface Fault {
  readonly name: string
  readonly title: string
  /** Of the step that is under way then. */
  readonly stepMillis: number
  /** What befalls the first of two; nothing where the second joins it. */
  readonly signal: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "joins"
}

export const all: ReadonlyArray<Fault> = [
  {
    name: "stop-short",
    title: "SIGTERM in a step of 5 s",
    stepMillis: 5_000,
    signal: "SIGTERM"
  },
  {
    name: "stop-long",
    title: "SIGTERM in a step of 40 s",
    stepMillis: 40_000,
    signal: "SIGTERM"
  },
  { name: "kill", title: "SIGKILL in a step of 5 s", stepMillis: 5_000, signal: "SIGKILL" },
  { name: "freeze", title: "SIGSTOP in a step of 5 s", stepMillis: 5_000, signal: "SIGSTOP" },
  { name: "join", title: "A second joins in a step of 10 s", stepMillis: 10_000, signal: "joins" }
]

export interface Outcome {
  readonly title: string
  /** Runs that were under way there. */
  readonly runs: number
  /** From the signal to the end of the process. */
  readonly exitMillis: number | undefined
  /** From the fault to the first step elsewhere, of the runs that went on elsewhere. */
  readonly goneOn: ReadonlyArray<number>
  readonly compensated: number
  /** Whose charge was executed to its end more than once. */
  readonly twice: number
  /** How the runs stood in the end, and how many of each. */
  readonly stand: Readonly<Record<string, number>>
}

const runsAtATime = 20

/** What has not happened by then is taken to happen never. */
const patienceMillis = 120_000

/** One that was frozen goes on, and does what it still does. */
const afterwardsMillis = 20_000

export const measure = async (fleet: Fleet, fault: Fault): Promise<Outcome> => {
  const first = await fleet.add()
  const joins = fault.signal === "joins"
  const second = joins ? undefined : await fleet.add()
  if (second !== undefined) await bothWork(fleet, [first, second])
  const { stepMillis: millis } = fault
  const runs = ids(fault.name, runsAtATime)
  const starters = second === undefined ? [first] : [first, second]
  await startBy(starters, runs, millis)
  await until(async () => count(await fleet.told(), "began", "charge", runs) === runs.length)

  const hit = (await fleet.told())
    .filter(({ pid, step }) => pid === first.pid && step === "charge")
    .map(({ run }) => run)
  const since = sharedMillis()
  const exited = befall(first, fault)
  const other = joins ? await fleet.add() : second
  const teller = joins ? first : other
  if (teller === undefined) throw new Error("nobody is left")
  const stand = () => teller.ask({ _tag: "Poll", runs: hit, millis })
  const over = (all: ReadonlyArray<string>) =>
    all.length > 0 && all.every((one) => one === "Success" || one === "Failure")
  await until(async () => over(await stand()), patienceMillis, 500)
  if (fault.signal === "SIGSTOP") {
    first.signal("SIGCONT")
    await pause(afterwardsMillis)
  }
  const told = await fleet.told()
  const elsewhere = (run: string) =>
    told.find(
      (one) => one.run === run && one.pid !== first.pid && one.event === "began" && one.at > since
    )
  const having = (event: Told["event"], step: string, least: number) =>
    hit.filter((run) => count(told, event, step, [run]) >= least).length
  return {
    title: fault.title,
    runs: hit.length,
    exitMillis: await exited(since),
    goneOn: hit.flatMap((run) => {
      const one = elsewhere(run)
      return one === undefined ? [] : [one.at - since]
    }),
    compensated: having("compensated", "reserve", 1),
    twice: having("ended", "charge", 2),
    stand: tally(await stand())
  }
}

const ids = (name: string, many: number): ReadonlyArray<string> =>
  Array.from({ length: many }, (_, index) => `${name}-${index}`)

const startBy = async (
  starters: ReadonlyArray<Runner>,
  runs: ReadonlyArray<string>,
  millis: number
) => {
  await Promise.all(
    starters.map((starter, index) =>
      starter.ask({
        _tag: "Start",
        runs: runs.filter((_, at) => at % starters.length === index),
        millis
      })
    )
  )
}

/** Runs are moved when one joins: until then nothing is measured. */
const bothWork = async (fleet: Fleet, runners: ReadonlyArray<Runner>) => {
  for (let round = 0; ; round++) {
    const runs = ids(`probe-${round}`, runsAtATime)
    await startBy(runners, runs, 0)
    await until(async () => count(await fleet.told(), "ended", "ship", runs) === runs.length, 5_000)
    const worked = (await fleet.told()).filter(({ run }) => runs.includes(run))
    if (runners.every(({ pid }) => worked.some((one) => one.pid === pid))) break
  }
  await pause(5_000)
}

const befall = (first: Runner, { signal }: Fault) => {
  if (signal !== "joins") first.signal(signal)
  return async (since: number): Promise<number | undefined> =>
    signal === "SIGTERM" ? (await first.ended) - since : undefined
}

const count = (
  told: ReadonlyArray<Told>,
  event: Told["event"],
  step: string,
  runs: ReadonlyArray<string>
): number => {
  const those = new Set(runs)
  return told.filter((one) => one.event === event && one.step === step && those.has(one.run)).length
}

const tally = (stand: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const one of stand) counts[one] = (counts[one] ?? 0) + 1
  return counts
}

const until = async (
  condition: () => Promise<boolean>,
  withinMillis = patienceMillis,
  everyMillis = 50
): Promise<void> => {
  const end = performance.now() + withinMillis
  while (performance.now() < end && !(await condition())) await pause(everyMillis)
}

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

/** A line of a table in Markdown. */
export const line = (engine: string, outcome: Outcome): string => {
  const { compensated, exitMillis, goneOn, runs, stand, title, twice } = outcome
  const went =
    goneOn.length === 0
      ? "none"
      : `${goneOn.length} after ${seconds(median(goneOn))}, the last ${seconds(largest(goneOn))}`
  const stood = Object.entries(stand).map(([status, many]) => `${many} ${status}`)
  const cells = [
    title,
    engine,
    String(runs),
    exitMillis === undefined ? "" : seconds(exitMillis),
    went,
    String(compensated),
    String(twice),
    stood.join(", ")
  ]
  return `| ${cells.join(" | ")} |`
}

export const header = [
  "| fault | engine | runs hit | ended after | went on elsewhere | compensated | charged twice | in the end |",
  "|---|---|---|---|---|---|---|---|"
].join("\n")
