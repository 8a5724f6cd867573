/** What a campaign does, drawn from a seed: which runs, and which executor is hit by what and when. */

/** Every workflow of the module. */
export const workflows = [
  "Chain",
  "Undone",
  "Fan",
  "Retried",
  "Sleeping",
  "Signalled",
  "Parent",
  "Queued"
] as const

export type WorkflowName = (typeof workflows)[number]

export interface Work {
  readonly workflow: WorkflowName
  readonly id: string
  readonly steps: number
}

/** The workflow that is to fail. */
export const isToFail = ({ workflow }: Work): boolean => workflow === "Undone"

/** What the run has to come to. */
export const resultOf = ({ id, workflow }: Work): string => {
  switch (workflow) {
    case "Signalled":
      return `${id} first own second`
    case "Parent":
      return `${id}/a ${id}/b ${id}/c`
    case "Queued":
      return `${id} processed`
    default:
      return id
  }
}

/** Steps that it executes at least, its children's included. */
export const stepsOf = ({ steps, workflow }: Work): number => {
  switch (workflow) {
    case "Retried":
      return 6
    case "Sleeping":
      return 4
    case "Signalled":
      return 3
    case "Queued":
      return 2
    case "Parent":
      return 2 + 3 * Math.max(1, Math.floor(steps / 3))
    default:
      return steps
  }
}

/**
 * `roll`: all executors are replaced, one after the other, each before the old one drains. Of those on
 * PostgreSQL besides: `restart` of the server, as after a crash; `hole`: the network of one executor
 * swallows everything for longer than its lease; `reset`: all its connections are cut.
 */
export const disturbanceKinds = [
  "kill",
  "drain",
  "freeze",
  "roll",
  "restart",
  "hole",
  "reset"
] as const

export type Disturbance = (typeof disturbanceKinds)[number]

export interface Options {
  readonly seed: number
  /** Executors at a time; at least 2. */
  readonly executors: number
  readonly kills: number
  readonly drains: number
  readonly freezes: number
  readonly rolls?: number | undefined
  /** Executors on PostgreSQL, each by a network of its own, in place of a file. Default: false. */
  readonly postgres?: boolean | undefined
  readonly restarts?: number | undefined
  readonly holes?: number | undefined
  readonly resets?: number | undefined
  /** Runs that are under way at a time. Default: `runsAtOnce`. */
  readonly runs?: number | undefined
  /** A folder where what the processes have said is kept. Default: it goes with the campaign. */
  readonly keep?: string | undefined
  /** Steps to be executed in all, at least. */
  readonly steps: number
}

/** More than the machine's processors can execute without a wait. */
export const runsAtOnce = 60

export const defaults: Options = {
  seed: 1,
  executors: 3,
  kills: 40,
  drains: 10,
  freezes: 10,
  steps: 6_000,
  runs: runsAtOnce
}

/** Numbers from 0 to 1, the same for the same seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Runs that come to so many steps. */
export const worksOf = ({ seed, steps }: Options): ReadonlyArray<Work> => {
  const random = randomOf(seed)
  const works: Array<Work> = []
  for (let sum = 0; sum < steps; ) {
    const workflow = workflows[works.length % workflows.length] ?? "Chain"
    const work = { workflow, id: `${works.length}`, steps: 2 + Math.floor(random() * 12) }
    works.push(work)
    sum += stepsOf(work)
  }
  return works
}

/** In an order that is drawn. */
export const disturbancesOf = (options: Options): ReadonlyArray<Disturbance> => {
  const random = randomOf(options.seed + 1)
  const counts: Readonly<Record<Disturbance, number>> = {
    kill: options.kills,
    drain: options.drains,
    freeze: options.freezes,
    roll: options.rolls ?? 0,
    restart: options.restarts ?? 0,
    hole: options.holes ?? 0,
    reset: options.resets ?? 0
  }
  const all = disturbanceKinds.flatMap((kind) => Array.from({ length: counts[kind] }, () => kind))
  return all
    .map((disturbance) => ({ disturbance, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ disturbance }) => disturbance)
}
