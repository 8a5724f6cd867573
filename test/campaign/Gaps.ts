/**
 * How long runs stand still when their executor goes: from the signal, or from the last that was executed
 * after it, to the next step on another executor. Of workflows that execute step after step and wait for
 * nothing in between.
 */
import { largest, quantile } from "../../bench/harness/Stats.js"
import type { Said } from "./Verdict.js"

/** A process was told to end; on the clock of what the steps say. */
export interface Departure {
  readonly pid: number
  readonly signal: "SIGTERM" | "SIGKILL"
  readonly at: number
}

/** Milliseconds. */
export interface Gaps {
  readonly drained: ReadonlyArray<number>
  readonly killed: ReadonlyArray<number>
}

/** Steps of the workflows that wait for nothing. */
const isOfChain = ({ event, step }: Said) => event !== "compensated" && step.startsWith("step-")

export const gapsOf = (said: ReadonlyArray<Said>, departures: ReadonlyArray<Departure>): Gaps => {
  const left = new Map(departures.map((departure) => [departure.pid, departure]))
  const gaps = { drained: [] as number[], killed: [] as number[] }
  for (const lines of byRun(said.filter(isOfChain)).values()) {
    for (const [last, next] of pairs(lines)) {
      const departure = left.get(last.pid)
      // a run that an executor had lost before does not stand still for its end
      if (departure === undefined || next.pid === last.pid || next.at < departure.at) continue
      const gap = (next.at - Math.max(last.at, departure.at)) / 1_000
      gaps[departure.signal === "SIGKILL" ? "killed" : "drained"].push(gap)
    }
  }
  return gaps
}

/** Of each run what it has said, in the order in which it did. */
const byRun = (said: ReadonlyArray<Said>): ReadonlyMap<string, ReadonlyArray<Said>> => {
  const runs = new Map<string, Array<Said>>()
  for (const line of [...said].sort((a, b) => a.at - b.at)) {
    const lines = runs.get(line.runId)
    if (lines === undefined) runs.set(line.runId, [line])
    else lines.push(line)
  }
  return runs
}

const pairs = (lines: ReadonlyArray<Said>): ReadonlyArray<readonly [Said, Said]> =>
  lines.slice(1).map((next, index) => [lines[index] ?? next, next])

/** For people. */
export const describe = ({ drained, killed }: Gaps): string =>
  `from the end of an executor to the next step of its runs: drained ${figures(drained)}; killed ${figures(killed)}`

const figures = (gaps: ReadonlyArray<number>): string => {
  if (gaps.length === 0) return "none"
  const [middle, p99, longest] = [quantile(gaps, 0.5), quantile(gaps, 0.99), largest(gaps)]
  return `${Math.round(middle)} ms, p99 ${Math.round(p99)} ms, longest ${Math.round(longest)} ms of ${gaps.length}`
}
