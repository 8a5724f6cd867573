/**
 * The figures to reach, and what was measured of each.
 */
import { largest, median, ratio } from "../harness/Stats.js"
import { before } from "../Subjects.js"
import { row, type Table } from "./Table.js"
import { number } from "./Text.js"

export interface Figure {
  readonly target: string
  /** What was measured; left out when its case did not run. */
  readonly measured?: string | undefined
  readonly reached?: boolean | undefined
}

interface Verdict {
  readonly measured: string
  readonly reached: boolean
}

type Values = ReadonlyArray<number>

/** Values of a row of a table. */
type Find = (table: string, row: string) => Values | undefined

interface Target {
  readonly target: string
  readonly verdict: (find: Find) => Verdict | undefined
}

const atLeast = (value: number, bound: number, unit: string): Verdict => ({
  measured: `${number(value)} ${unit}`,
  reached: value >= bound
})

const under = (value: number, bound: number, unit: string): Verdict => ({
  measured: `${number(value)} ${unit}`,
  reached: value < bound
})

/** How often `to` goes into the subject, and whether that is as it should be. */
const comparing =
  (table: string, subject: string, to: string, isReached: (times: number) => boolean) =>
  (find: Find) => {
    const values = find(table, subject)
    const baseline = find(table, to)
    if (values === undefined || baseline === undefined) return undefined
    const times = ratio(values, baseline)
    return {
      measured: `${number(times)} times (${number(median(values))} to ${number(median(baseline))})`,
      reached: isReached(times)
    }
  }

const compared = (table: string, subject: string, to: string, bound: number) =>
  comparing(table, subject, to, (times) => times >= bound)

const atMostTimes = (table: string, subject: string, to: string, bound: number) =>
  comparing(table, subject, to, (times) => times <= bound)

const medianUnder =
  (table: string, subject: string, bound: number, unit: string) => (find: Find) => {
    const values = find(table, subject)
    return values === undefined ? undefined : under(median(values), bound, unit)
  }

/** The worst of several kinds counts. */
const worstUnder =
  (table: string, subjects: ReadonlyArray<string>, bound: number, unit: string) => (find: Find) => {
    const medians = subjects.flatMap((subject) => {
      const values = find(table, subject)
      return values === undefined ? [] : [{ subject, value: median(values) }]
    })
    if (medians.length < subjects.length) return undefined
    const worst = largest(medians.map(({ value }) => value))
    const subject = medians.find(({ value }) => value === worst)?.subject
    return { measured: `${number(worst)} ${unit} (${subject})`, reached: worst < bound }
  }

const targets: ReadonlyArray<Target> = [
  {
    target: "Concurrency 50, activities made once: at least 1.0 times WorkflowEngine.layerMemory",
    verdict: compared("steps-once-50", "sqlite", "upstream", 1)
  },
  {
    target: "Concurrency 50, activities made once: at least 20 times SingleRunner on SQLite",
    verdict: compared("steps-once-50", "sqlite", "cluster", 20)
  },
  {
    target: "At least 4,000 steps/s where layerMemory makes 4,000",
    verdict: (find) => {
      const ours = find("steps-once-50", "sqlite")
      const memory = find("steps-once-50", "upstream")
      if (ours === undefined || memory === undefined) return undefined
      const bound = Math.min(4_000, median(memory))
      return {
        measured: `${number(median(ours))} steps/s where layerMemory makes ${number(median(memory))}`,
        reached: median(ours) >= bound
      }
    }
  },
  {
    target: "Concurrency 50, activities made inside the workflow: at least 1.0 times layerMemory",
    verdict: compared("steps-inside-50", "sqlite", "upstream", 1)
  },
  {
    target:
      "Concurrency 1: a step takes at most 1.5 SQLite FULL commits plus what layerMemory takes",
    verdict: (find) => {
      const ours = find("latency", "sqlite")
      const commit = find("latency", "commit")
      const memory = find("latency", "upstream")
      if (ours === undefined || commit === undefined || memory === undefined) return undefined
      const allowed = commit.map((micros, round) => 1.5 * micros + (memory[round] ?? Number.NaN))
      return {
        measured:
          `${number(ratio(ours, allowed))} of what is allowed: ${number(median(ours))} µs; ` +
          `a commit ${number(median(commit))} µs, layerMemory ${number(median(memory))} µs`,
        reached: ratio(ours, allowed) <= 1
      }
    }
  },
  {
    target: "With 1,000,000 finished runs in the file: at least 0.95 of the speed on an empty one",
    verdict: compared("finished", "full", "empty", 0.95)
  },
  {
    target: "100,000 runs in one queue with 10,000 keys: a claim takes under 5 ms",
    verdict: medianUnder("queue", "median", 5, "ms")
  },
  {
    target: "Signal to next step, same process: median under 5 ms",
    verdict: medianUnder("signal", "sqlite", 5, "ms")
  },
  {
    target: "Signal to next step, from another process: median under 50 ms",
    verdict: medianUnder("signal-other", "median", 50, "ms")
  },
  {
    target: "A step and a sleep of 1 ms, 1,000 times: under 5 s",
    verdict: medianUnder("loop", "sqlite", 5_000, "ms")
  },
  {
    target: "Short sleeps: at most 1.15 times layerMemory's time",
    verdict: atMostTimes("loop", "sqlite", "upstream", 1.15)
  },
  {
    target: "Fan-out, five at a time: at most 1.15 times layerMemory's time",
    verdict: atMostTimes("fan-out", "sqlite", "upstream", 1.15)
  },
  {
    target: "5,000 children of one parent: under 6 s",
    verdict: medianUnder("fan-in", "sqlite", 6_000, "ms")
  },
  {
    target: "10,000 steps are replayed in under 0.5 s",
    verdict: medianUnder("replay", "sqlite", 500, "ms")
  },
  {
    target:
      "A drain adds under 100 ms to 50 steps in flight of half a second while 500 runs wait in memory",
    verdict: medianUnder("drain", "waiting", 100, "ms")
  },
  {
    target: "Timer lateness at 100,000 sleepers: p99 under 100 ms",
    verdict: medianUnder("timers", "p99", 100, "ms")
  },
  {
    target: "100,000 suspended runs: under 200 bytes of heap each",
    verdict: medianUnder("heap-suspended", "sqlite", 200, "bytes")
  },
  {
    target: "10,000 running runs: under 20 kB of heap each",
    verdict: medianUnder("heap-running", "sqlite", 20_000, "bytes")
  },
  {
    target: "Start-up with 100,000 unfinished runs: first step under 2 s",
    verdict: worstUnder("startup", ["pending", "held", "overdue", "sleeping"], 2_000, "ms")
  },
  {
    target: "Start-up with 100,000 unfinished runs: event loop never held up for over 100 ms",
    verdict: worstUnder("startup-block", ["pending", "held", "overdue", "sleeping"], 100, "ms")
  },
  {
    target:
      "HTTP: POST /runs at least 2,000/s durable with 50 connections, runs executed meanwhile",
    verdict: (find) => {
      const values = find("http-start", "executing")
      return values && atLeast(median(values), 2_000, "requests/s")
    }
  },
  {
    target: "HTTP: the same while the executor has no room and runs wait",
    verdict: (find) => {
      const values = find("http-start", "full")
      return values && atLeast(median(values), 2_000, "requests/s")
    }
  },
  {
    target: "HTTP: /health p99 under 50 ms while steps run at full speed",
    verdict: medianUnder("http-health", "p99", 50, "ms")
  },
  {
    target: "HTTP: /health p99 under 100 ms while a run has 5,000 children",
    verdict: medianUnder("http-health-fan-in", "p99", 100, "ms")
  },
  {
    target: "50 open dashboards: at least 0.95 of the speed without one",
    verdict: compared("dashboards", "open", "none", 0.95)
  },
  {
    target: "PostgreSQL, concurrency 50: at least 0.7 of SQLite",
    verdict: compared("postgres-50", "postgres", "sqlite", 0.7)
  },
  {
    target: "PostgreSQL, concurrency 500: at least 0.7 of SQLite",
    verdict: compared("postgres-500", "postgres", "sqlite", 0.7)
  },
  {
    target: "PostgreSQL, concurrency 1: at least 700 steps/s where SQLite makes 1,450",
    verdict: compared("postgres-1", "postgres", "sqlite", 700 / 1_450)
  },
  {
    target: "PostgreSQL with 1 ms each way, concurrency 50: at least 2,500 steps/s",
    verdict: (find) => {
      const values = find("postgres-50", "far")
      return values && atLeast(median(values), 2_500, "steps/s")
    }
  },
  {
    target: "PostgreSQL, concurrency 50: at most 60 µs of database CPU a step",
    verdict: medianUnder("postgres-database", "50", 60, "µs")
  },
  {
    target: "PostgreSQL, signal on one executor to the next step on another: median under 10 ms",
    verdict: medianUnder("postgres-signal", "median", 10, "ms")
  },
  {
    target:
      "PostgreSQL, a claim among 10,000,000 finished and 1,000,000 sleeping runs: median under 5 ms",
    verdict: medianUnder("claims", "full", 5, "ms")
  },
  {
    target: "PostgreSQL, from a drain to the next step on another executor: p99 under 100 ms",
    verdict: medianUnder("handover-postgres-drained", "p99", 100, "ms")
  },
  {
    target: "PostgreSQL, from a SIGKILL to the next step on another executor: p99 under 2 s",
    verdict: medianUnder("handover-postgres-killed", "p99", 2_000, "ms")
  },
  {
    target: "PostgreSQL, from a drain to the next step on another host: p99 under 100 ms",
    verdict: medianUnder("handover-postgres-hosts-drained", "p99", 100, "ms")
  },
  {
    target: "PostgreSQL, from a SIGKILL to the next step on another host: p99 under 2 s",
    verdict: medianUnder("handover-postgres-hosts-killed", "p99", 2_000, "ms")
  }
]

/** A version is no slower and no larger than the one before, but for what cannot be measured. */
const sameAsBefore = 0.98

/** CPU times and tails are shown beside the version before, and not judged. */
const isJudged = ({ id }: Table): boolean => !id.endsWith("-cpu") && !id.endsWith("-p99")

const versions = (tables: ReadonlyArray<Table>): ReadonlyArray<Target> =>
  tables
    .filter((table) => isJudged(table) && row(table, before) !== undefined)
    .map(({ better, id, title }) =>
      better === "higher"
        ? {
            target: `${title}: at least ${sameAsBefore} of the version before`,
            verdict: compared(id, "sqlite", before, sameAsBefore)
          }
        : {
            target: `${title}: at most ${number(1 / sameAsBefore)} of the version before`,
            verdict: atMostTimes(id, "sqlite", before, 1 / sameAsBefore)
          }
    )

export const judge = (tables: ReadonlyArray<Table>): ReadonlyArray<Figure> => {
  const find: Find = (table, key) =>
    row(
      tables.find(({ id }) => id === table),
      key
    )?.values
  return [...targets, ...versions(tables)].map(({ target, verdict }) => ({
    target,
    ...verdict(find)
  }))
}
