/** In one sentence, why a run is not going on; or what it does, or what it came to. */
import type { RunWithStepsView, WaitView } from "../../api/RunView.js"
import { clock, count, counted, duration, fromNow, millisOf, shortId } from "../parts/Words.js"

type Timer = Extract<WaitView, { readonly type: "timer" }>

const isTimer = (wait: WaitView): wait is Timer => wait.type === "timer"

/** The pause between two attempts of a step is a timer that says so in its name. */
const backoff = /^(.*)\/(\d+)\/backoff$/

const due = (until: string, now: number) =>
  millisOf(until) <= now
    ? "now"
    : `${fromNow(millisOf(until), now)}, at ${clock(millisOf(until), now)}`

const timer = ({ name, until }: Timer, now: number): string => {
  const when = until === undefined ? "at a time that is not told" : due(until, now)
  const [, step, attempt] = backoff.exec(name) ?? []
  return step === undefined
    ? `the timer ${name} is due ${when}`
    : `attempt ${Number(attempt) + 1} of ${step} is due ${when}`
}

const since = (at: string, now: number) => `since ${duration(now - millisOf(at))}`

const wait = (one: WaitView, now: number): string => {
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
      return "it waits for its turn in its queue"
    case "pause":
      return `its workflow ${one.workflow} is paused`
    case "executor":
      return `it waits for an executor that has registered the workflow ${one.workflow}: this one has not`
    case "room":
      return "it waits for room in an executor"
    case "mend":
      return "it stopped and waits to be mended and resumed"
  }
}

/** What it waits for, signals and children first: a timer beside them is what ends that. */
const waits = (first: ReadonlyArray<WaitView>, total: number, now: number): string => {
  const others = first.filter((one) => !isTimer(one))
  const timers = first
    .filter(isTimer)
    .sort((a, b) => ((a.until ?? "~") < (b.until ?? "~") ? -1 : 1))
  const told = [...others, ...timers].slice(0, 3).map((one) => wait(one, now))
  const more = total - told.length
  return `${told.join("; ")}${more > 0 ? `; and for ${count(more)} more` : ""}`
}

const running = (run: RunWithStepsView, now: number): string => {
  const steps = run.steps.filter((step) => step.status === "running")
  const [first] = steps
  if (first === undefined) return "It is held by an executor, between two steps"
  const others = steps.length === 1 ? "" : `, and ${counted(steps.length - 1, "step")} more`
  return `It executes attempt ${first.attempt} of ${first.name} ${since(first.startedAt, now)}${others}`
}

const unfinished = (run: RunWithStepsView, now: number): string => {
  if (run.status === "suspended" && run.error !== undefined) {
    return `It stopped, and waits to be mended and resumed: ${run.error.message}`
  }
  const told = run.waitsFor
  if (told !== undefined && told.total > 0) {
    const text = waits(told.first, told.total, now)
    return text.charAt(0).toUpperCase() + text.slice(1)
  }
  return run.status === "running"
    ? running(run, now)
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

/** @param now milliseconds */
export const why = (run: RunWithStepsView, now: number): string => {
  switch (run.status) {
    case "completed":
      return `It completed${lasted(run)}`
    case "failed":
      return failed(run)
    case "interrupted":
      return `It was ended${lasted(run)}: ${run.error?.message ?? "interrupted"}`
    default:
      return `${unfinished(run, now)}${crashes(run)}`
  }
}

const crashes = ({ crashes }: RunWithStepsView) =>
  crashes === undefined
    ? ""
    : `; ${counted(crashes, "executor")} in a row died while it was under way`
