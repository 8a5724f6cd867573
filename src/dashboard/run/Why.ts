/** In one sentence, why a run is not going on; or what it does, or what it came to. */
import type { QueueView } from "../../api/Queues.js"
import type { ExecutorView, RunWithStepsView, WaitView } from "../../api/RunView.js"
import { clock, count, counted, duration, fromNow, millisOf, shortId } from "../parts/Words.js"
import * as Backoff from "./Backoff.js"

type Timer = Extract<WaitView, { readonly type: "timer" }>

const isTimer = (wait: WaitView): wait is Timer => wait.type === "timer"

const due = (until: string, now: number) =>
  millisOf(until) <= now
    ? "now"
    : `${fromNow(millisOf(until), now)}, at ${clock(millisOf(until), now)}`

const timer = ({ name, until }: Timer, now: number): string => {
  const when = until === undefined ? "at a time that is not told" : due(until, now)
  const backoff = Backoff.ofTimer(name)
  return backoff === undefined
    ? `the timer ${name} is due ${when}`
    : `attempt ${backoff.attempt + 1} of ${backoff.step} is due ${when}`
}

const since = (at: string, now: number) => `since ${duration(now - millisOf(at))}`

/** What is known of the queue that it is in. */
export type Queue = Pick<QueueView, "name"> & Partial<QueueView>

const turn = (queue: Queue | undefined): string => {
  if (queue === undefined) return "it waits for its turn in its queue"
  const { name, paused, running, waiting } = queue
  if (paused === true) {
    return `its queue ${name} is paused: nothing of it begins until that is resumed`
  }
  const others =
    running === undefined || waiting === undefined
      ? ""
      : `: ${counted(running, "run is", "runs are")} under way, and ${counted(waiting, "waits", "wait")}`
  return `it waits for a slot of the queue ${name}${others}`
}

const wait = (one: WaitView, now: number, queue: Queue | undefined): string => {
  switch (one.type) {
    case "signal":
      return `it waits for the signal ${one.name} ${since(one.since, now)}`
    case "timer":
      return timer(one, now)
    case "child":
      return `it waits for its child ${shortId(one.runId)} ${since(one.since, now)}`
    case "start":
      return `it is to begin ${due(one.until, now)}`
    case "queue":
      return turn(queue)
    case "pause":
      return `its workflow ${one.workflow} is paused, until that is resumed`
    case "executor":
      return `it waits for an executor that has registered the workflow ${one.workflow}: this one has not`
    case "room":
      return "it waits for room in an executor"
    case "mend":
      return "it stopped and waits to be mended and resumed"
  }
}

/** What it waits for, signals and children first: a timer beside them is what ends that. */
const waits = (
  { first, total }: NonNullable<RunWithStepsView["waitsFor"]>,
  now: number,
  queue: Queue | undefined
): string => {
  const others = first.filter((one) => !isTimer(one))
  const timers = first
    .filter(isTimer)
    .sort((a, b) => ((a.until ?? "~") < (b.until ?? "~") ? -1 : 1))
  const told = [...others, ...timers].slice(0, 3).map((one) => wait(one, now, queue))
  const more = total - told.length
  return `${told.join("; ")}${more > 0 ? `; and for ${count(more)} more` : ""}`
}

/** What is known of the executor that executes it, where that is another one. */
export type Holder = Pick<ExecutorView, "alive" | "leaseUntil">

/** One that is gone, or frozen, goes on with nothing: another one takes over what it holds. */
const lapse = (holder: Holder | undefined, now: number) => {
  if (holder === undefined || holder.alive) return ""
  const { leaseUntil } = holder
  if (leaseUntil === null) return ", which is gone: another one takes it over"
  const left = millisOf(leaseUntil) - now
  return left > 0
    ? `, which is gone: its lease is over in ${duration(left)}`
    : `, whose lease lapsed ${duration(-left)} ago`
}

const held = ({ heldBy }: RunWithStepsView, now: number, holder: Holder | undefined) =>
  heldBy === undefined
    ? "It is held by an executor"
    : heldBy.self
      ? "It is held by this executor, between two steps"
      : `It is held by executor ${heldBy.executor}${lapse(holder, now)}`

const running = (run: RunWithStepsView, now: number, holder: Holder | undefined): string => {
  const steps = run.steps.filter((step) => step.status === "running")
  const [first] = steps
  if (first === undefined || holder?.alive === false) return held(run, now, holder)
  const others = steps.length === 1 ? "" : `, and ${counted(steps.length - 1, "step")} more`
  return `It executes attempt ${first.attempt} of ${first.name} ${since(first.startedAt, now)}${others}`
}

const unfinished = (run: RunWithStepsView, now: number, { holder, queue }: Around): string => {
  if (run.status === "suspended" && run.error !== undefined) {
    return `It stopped, and waits to be mended and resumed: ${run.error.message}`
  }
  const told = run.waitsFor
  if (told !== undefined && told.total > 0) {
    const text = waits(told, now, queue)
    return text.charAt(0).toUpperCase() + text.slice(1)
  }
  return run.status === "running"
    ? running(run, now, holder)
    : run.status === "pending"
      ? "Nobody holds it: the next executor with room takes it"
      : "It waits; for what is not told yet"
}

const lasted = ({ completedAt, createdAt }: RunWithStepsView) =>
  completedAt === undefined ? "" : ` after ${duration(millisOf(completedAt) - millisOf(createdAt))}`

const failed = (run: RunWithStepsView): string => {
  const step =
    run.failedStep === undefined
      ? ""
      : ` in attempt ${run.failedStep.attempt} of ${run.failedStep.name}`
  return `It failed${lasted(run)}${step}: ${run.error?.message ?? "why is not told"}`
}

/** When it is ended, whatever it is at then. */
const ends = ({ deadline }: RunWithStepsView, now: number) =>
  deadline === undefined
    ? ""
    : millisOf(deadline) <= now
      ? "; its time is over"
      : `; its time is over ${due(deadline, now)}`

/** What is asked for besides the run. */
export interface Around {
  readonly queue?: Queue | undefined
  readonly holder?: Holder | undefined
}

/** @param now milliseconds */
export const why = (run: RunWithStepsView, now: number, around: Around = {}): string => {
  switch (run.status) {
    case "completed":
      return `It completed${lasted(run)}`
    case "failed":
      return failed(run)
    case "interrupted":
      return `It was ended${lasted(run)}: ${run.error?.message ?? "interrupted"}`
    default:
      return `${unfinished(run, now, around)}${crashes(run)}${ends(run, now)}`
  }
}

const crashes = ({ crashes }: RunWithStepsView) =>
  crashes === undefined
    ? ""
    : `; ${counted(crashes, "executor")} in a row died while it was under way`
