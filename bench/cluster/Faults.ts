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
  { name: "join", title: "A second joins in a step of 40 s", stepMillis: 40_000, signal: "joins" }
]

export interface Outcome {
  readonly title: string
  /** Runs that were in that step there. */
  readonly runs: number
  /** From the signal to the end of the process. */
  readonly exitMillis: number | undefined
  /** From the fault to the first step elsewhere, of the runs that went on elsewhere. */
  readonly goneOn: ReadonlyArray<number>
  readonly compensated: number
  /** Of these, the ones that succeeded all the same. */
  readonly undone: number
  /** Whose charge was executed to its end more than once. */
  readonly twice: number
  /** How the runs stood in the end, and how many of each. */
  readonly stand: Readonly<Record<string, number>>
}

const runsAtATime = 20

/** Not all: what is started where it does not belong takes the cluster seconds to begin. */
const hitAtLeast = 5

/** What has not happened by then is taken to happen never. */
const patienceMillis = 120_000

/** One that was frozen goes on, and does what it still does. */
const afterwardsMillis = 20_000

export const measure = async (fleet: Fleet, fault: Fault): Promise<Outcome> => {
  const { signal, stepMillis: millis } = fault
  const first = await fleet.add()
  const second = signal === "joins" ? undefined : await fleet.add()
  if (second !== undefined) await bothWork(fleet, [first, second])
  const runs = ids(fault.name, runsAtATime)
  // not waited for: the steps may be over by the time that all are started
  void startBy(second === undefined ? [first] : [first, second], runs, millis)
  const least = signal === "joins" ? runs.length : hitAtLeast
  await until(async () => (await inFlight(fleet, first, runs)).length >= least)

  const hit = await inFlight(fleet, first, runs)
  const since = sharedMillis()
  if (signal !== "joins") first.signal(signal)
  const teller = second ?? first
  if (signal === "joins") await fleet.add()
  const stand = () => teller.ask({ _tag: "Poll", runs: hit, millis })
  await until(async () => areOver(await stand()), patienceMillis, 500)
  if (signal === "SIGSTOP") {
    first.signal("SIGCONT")
    await pause(afterwardsMillis)
  }
  const exitMillis = signal === "SIGTERM" ? (await first.ended) - since : undefined
  return {
    title: fault.title,
    exitMillis,
    ...outcome(await fleet.told(), first, hit, since, await stand())
  }
}

/** Runs that are in the step that takes so long, there. */
const inFlight = async (
  fleet: Fleet,
  { pid }: Runner,
  runs: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> => {
  const there = (await fleet.told()).filter((one) => one.pid === pid)
  return runs.filter(
    (run) => count(there, "began", "charge", [run]) > count(there, "ended", "charge", [run])
  )
}

const areOver = (stand: ReadonlyArray<string>): boolean =>
  stand.length > 0 && stand.every((one) => one === "Success" || one === "Failure")

const outcome = (
  told: ReadonlyArray<Told>,
  first: Runner,
  hit: ReadonlyArray<string>,
  since: number,
  stand: ReadonlyArray<string>
) => {
  const elsewhere = told.filter(
    ({ at, event, pid }) => pid !== first.pid && event === "began" && at > since
  )
  const compensated = hit.filter((run) => count(told, "compensated", "reserve", [run]) > 0)
  return {
    runs: hit.length,
    goneOn: hit.flatMap((run) => {
      const one = elsewhere.find((one) => one.run === run)
      return one === undefined ? [] : [one.at - since]
    }),
    compensated: compensated.length,
    undone: compensated.filter((run) => stand[hit.indexOf(run)] === "Success").length,
    twice: hit.filter((run) => count(told, "ended", "charge", [run]) > 1).length,
    stand: tally(stand)
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
  const { compensated, exitMillis, goneOn, runs, stand, title, twice, undone } = outcome
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
    compensated === 0 ? "0" : `${compensated}; ${undone} succeed all the same`,
    String(twice),
    stood.join(", ")
  ]
  return `| ${cells.join(" | ")} |`
}

export const header = [
  "| fault | engine | runs in it | process ended after | went on elsewhere | compensated | step executed twice | in the end |",
  "|---|---|---|---|---|---|---|---|"
].join("\n")
