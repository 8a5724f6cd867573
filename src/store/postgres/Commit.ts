/** The call of `workflow_commit_v4`, and what its answer means. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { nextPosition } from "../Position.js"
import { innerness, wholeMillis } from "../Rows.js"
import type {
  Completion,
  Held,
  History,
  Json,
  NewRun,
  RunStatus,
  StepNote,
  StepOutcome,
  StepStatus
} from "../RunStore.js"
import * as Fence from "./Fence.js"
import type { Param } from "./Sql.js"
import type { Transaction } from "./Transaction.js"

/** What is recorded or noted of a step. */
export type AnyStep = Omit<StepNote, "status"> &
  Pick<StepOutcome, "timers" | "inner" | "compensation"> & {
    readonly status: StepStatus
    readonly exit: Json | null
  }

export interface Creation {
  readonly run: NewRun
  readonly claimFor: number | undefined
  /** Whoever creates it does so as the holder of this run, and only as long as that is so. */
  readonly by?: Held | undefined
}

/** None of them twice. */
export interface Work {
  readonly creations?: ReadonlyArray<Creation> | undefined
  readonly steps?: ReadonlyArray<AnyStep> | undefined
  readonly completions?: ReadonlyArray<Completion> | undefined
}

export interface Created {
  readonly key: number
  readonly executor: number | undefined
}

export interface Committed {
  /** Those that were not there yet, by their ids. */
  readonly created: ReadonlyMap<string, Created>
  /** By the ids of runs that were to be created. */
  readonly signals: ReadonlyMap<string, History["signals"]>
  /** How many steps were written. */
  readonly steps: number
  /** Which of the completions are the ends of their runs. */
  readonly ended: ReadonlySet<number>
}

/** See `Fence`. */
const hold = ["bigint[]", "integer[]", "bigint[]", "text[]"]

const types = [
  ...["text[]", "text[]", "text[]", "text[]", "text[]", "smallint[]", "bigint[]"],
  ...[...hold, "bigint[]", "text[]", "integer[]", "text[]"],
  ...["bigint[]", "bigint[]", "text[]", "smallint[]"],
  ...[...hold, "text[]", "bigint[]", "bigint[]"],
  ...[...hold, "text[]", "text[]", "smallint[]"],
  ...["bigint", "bigint", "bigint", "text", "text"]
]

const call = `SELECT * FROM workflow_commit_v4(${types
  .map((type, index) => `$${index + 1}::${type}`)
  .join(", ")})`

type Row =
  | {
      readonly kind: "created" | "again"
      readonly key: number
      readonly run_id: string
      readonly number: number | null
    }
  | {
      readonly kind: "signal"
      readonly run_id: string
      readonly name: string
      readonly exit: Json
    }
  | { readonly kind: "steps"; readonly key: number }
  | {
      readonly kind: "ended"
      readonly key: number
    }
  | {
      readonly kind: "woken"
      readonly key: number
      readonly run_id: string
      readonly number: number
      readonly name: RunStatus
    }

const ofCreations = (creations: ReadonlyArray<Creation>): ReadonlyArray<Param> => {
  const runs = creations.map(({ run }) => run)
  return [
    runs.map(({ runId }) => runId),
    runs.map(({ workflow }) => workflow),
    runs.map(({ payload }) => payload),
    runs.map(({ trace }) => trace?.traceId ?? null),
    runs.map(({ trace }) => trace?.spanId ?? null),
    runs.map(({ trace }) => (trace === undefined ? null : Number(trace.sampled))),
    creations.map(({ claimFor }) => claimFor ?? null)
  ]
}

const ofSteps = (steps: ReadonlyArray<AnyStep>): ReadonlyArray<Param> => {
  const timers = steps.flatMap(({ held, timers }) => timers.map((timer) => ({ held, timer })))
  return [
    ...Fence.ofAll(steps.map(({ held }) => held)),
    steps.map(() => nextPosition()),
    steps.map(({ name }) => name),
    steps.map(({ attempt }) => attempt),
    steps.map(({ status }) => status),
    steps.map(({ startedAt }) => wholeMillis(startedAt)),
    steps.map(({ completedAt }) => (completedAt === undefined ? null : wholeMillis(completedAt))),
    steps.map(({ exit }) => exit),
    steps.map(innerness),
    ...Fence.ofAll(timers.map(({ held }) => held)),
    timers.map(({ timer }) => timer.name),
    timers.map(({ timer }) => wholeMillis(timer.wakeAt)),
    timers.map(() => nextPosition())
  ]
}

const ofCompletions = (completions: ReadonlyArray<Completion>): ReadonlyArray<Param> => [
  ...Fence.ofAll(completions.map(({ held }) => held)),
  completions.map(({ status }) => status),
  completions.map(({ exit }) => exit),
  completions.map(({ compensated = false }) => (compensated ? 1 : 0))
]

/** Where the others are told of what they may do. */
export interface Told {
  readonly channel: string
  /** Who tells it, and needs not hear of it. */
  readonly from: string
}

/**
 * Does it, in whatever transaction there is; without one it is a transaction by itself. Notes in the
 * log whom it woke.
 */
export const commit = (
  transaction: Omit<Transaction, "leaseNow" | "alone"> & { readonly leaseNow: number | null },
  { completions = [], creations = [], steps = [] }: Work,
  told?: Told | undefined
): Effect.Effect<Committed, SqlError> =>
  Effect.map(
    transaction.rows<Row>(call, [
      ...ofCreations(creations),
      ...ofSteps(steps),
      ...ofCompletions(completions),
      transaction.now,
      transaction.leaseNow,
      transaction.batch,
      told?.channel ?? null,
      told?.from ?? null
    ]),
    (rows) => committed(rows, transaction)
  )

const committed = (
  rows: ReadonlyArray<Row>,
  { log, now }: Pick<Transaction, "log" | "now">
): Committed => {
  const created = new Map<string, Created>()
  const signals = new Map<string, Array<History["signals"][number]>>()
  const ended = new Set<number>()
  let steps = 0
  for (const row of rows) {
    switch (row.kind) {
      case "created":
      case "again":
        if (row.number === null) log.becamePending()
        created.set(row.run_id, { key: row.key, executor: row.number ?? undefined })
        break
      case "signal": {
        const { exit, name } = row
        const others = signals.get(row.run_id)
        if (others === undefined) signals.set(row.run_id, [{ name, exit }])
        else others.push({ name, exit })
        break
      }
      case "steps":
        steps = row.key
        break
      case "ended":
        ended.add(row.key - 1)
        break
      case "woken":
        if (row.name === "pending") log.becamePending()
        log.wokeUp({ runId: row.run_id, claim: row.key, wakeups: row.number, at: now })
    }
  }
  return { created, signals, steps, ended }
}
