/** Runs, steps and what happens to them, as text for people. */
import type {
  FoundView,
  RelativeView,
  RunView,
  RunWithStepsView,
  SignalView,
  StepView,
  TimerView,
  WaitView
} from "../runner/Runs.js"
import type { RunEvent } from "./RunChanges.js"
import * as Table from "./Table.js"

export const rowOfRun = (run: RunView): ReadonlyArray<string | undefined> => [
  run.runId,
  run.workflow,
  run.status,
  Table.time(run.createdAt),
  between(run.startedAt, run.completedAt),
  run.error === undefined ? undefined : describeError(run.error)
]

export const rowOfStep = (step: StepView): ReadonlyArray<string | undefined> => [
  step.compensation === true ? `${step.name} (compensation)` : step.name,
  String(step.attempt),
  step.status,
  Table.time(step.startedAt),
  between(step.startedAt, step.completedAt),
  step.executor === undefined ? undefined : String(step.executor),
  step.error === undefined ? valueOf(step.result, step.leftOut?.result) : describeError(step.error)
]

export const fieldsOfRun = (
  run: RunWithStepsView
): ReadonlyArray<readonly [name: string, value: string | undefined]> =>
  [
    ["run", run.runId],
    ["workflow", run.workflow],
    ["status", run.status],
    ["payload", valueOf(run.payload, run.leftOut?.payload)],
    ["created", Table.time(run.createdAt)],
    ["started", Table.time(run.startedAt)],
    ["completed", Table.time(run.completedAt)],
    ["compensated", run.compensated === true ? "yes: it is not retried" : undefined],
    ["terminated", run.terminated === true ? "yes: it is not retried" : undefined],
    ["crashes", run.crashes === undefined ? undefined : String(run.crashes)],
    ["result", valueOf(run.result, run.leftOut?.result)],
    ["error", run.error === undefined ? undefined : describeError(run.error)],
    ["parent", relatives(run.parents)],
    ["children", relatives(run.children)],
    ...(run.signals?.last ?? []).map((signal) => ["signal", describeSignal(signal)]),
    ["and", earlier(run.signals)],
    ...(run.timers?.last ?? []).map((timer) => ["timer", describeTimer(timer)]),
    ["and", earlier(run.timers)],
    ...(run.waitsFor?.first ?? []).map((wait) => ["waits for", describeWait(wait)]),
    ["and", more(run.waitsFor)],
    ["in step", run.failedStep === undefined ? undefined : nameOfStep(run.failedStep)]
  ].flatMap(([name = "", value]) => (value === undefined ? [] : [[name, value] as const]))

export const describeEvent = (event: RunEvent): string => {
  const what =
    event.event === "run" ? `run ${event.status}` : `step ${nameOfStep(event)} ${event.status}`
  const took = between(event.startedAt, event.completedAt)
  const how =
    event.error === undefined
      ? valueOf(event.result, event.leftOut?.result)
      : describeError(event.error)
  return Table.plain(
    `${what}${took === undefined ? "" : ` in ${took}`}${how === undefined ? "" : `: ${how}`}`
  )
}

interface Bounded<A> {
  readonly total: number
  readonly first: ReadonlyArray<A>
}

const more = (list: Bounded<unknown> | undefined): string | undefined =>
  list === undefined || list.total <= list.first.length
    ? undefined
    : `${list.total - list.first.length} more`

const earlier = (
  list: { readonly total: number; readonly last: ReadonlyArray<unknown> } | undefined
): string | undefined =>
  list === undefined || list.total <= list.last.length
    ? undefined
    : `${list.total - list.last.length} before`

const describeSignal = ({ name, receivedAt }: SignalView): string =>
  receivedAt === undefined ? name : `${name}, received ${Table.time(receivedAt)}`

const describeTimer = ({ dueAt, fired, name }: TimerView): string =>
  `${name}, ${fired ? "fired, " : ""}due ${Table.time(dueAt)}`

const relatives = (list: Bounded<RelativeView> | undefined): string | undefined => {
  if (list === undefined) return undefined
  const shown = list.first.map(({ runId, status, workflow }) => `${workflow} ${runId} (${status})`)
  const left = more(list)
  return [...shown, ...(left === undefined ? [] : [left])].join(", ")
}

export const describeWait = (wait: WaitView): string => {
  switch (wait.type) {
    case "signal":
      return `signal ${wait.name} since ${Table.time(wait.since)}`
    case "timer":
      return `timer ${wait.name}${wait.until === undefined ? "" : ` until ${Table.time(wait.until)}`}`
    case "child":
      return `child ${wait.runId} since ${Table.time(wait.since)}`
    case "start":
      return `its time to begin, ${Table.time(wait.until)}`
    case "queue":
      return "its turn in its queue"
    case "pause":
      return `workflow ${wait.workflow} to go on, which is paused`
    case "executor":
      return `an executor that has registered ${wait.workflow}, and has room`
    case "room":
      return "room in an executor"
    case "mend":
      return "its error to be mended; resume it then"
  }
}

export const describeFound = ({ completedAt, skipped, status }: FoundView): string =>
  `${skipped === true ? "None was started: this run of the same key" : "This run was there already, and"} is ${status}${
    completedAt === undefined ? "" : ` since ${Table.time(completedAt)}`
  }`

const nameOfStep = ({ attempt, name }: { readonly name: string; readonly attempt: number }) =>
  attempt === 1 ? name : `${name} (attempt ${attempt})`

const between = (from: string | undefined, to: string | undefined): string | undefined =>
  from === undefined || to === undefined
    ? undefined
    : Table.duration(Date.parse(to) - Date.parse(from))

const describeError = ({ _tag, message }: { readonly _tag: string; readonly message: string }) =>
  _tag === message ? _tag : `${_tag}: ${message}`

/** @param leftOut how many bytes a value has that is too large to be there */
const valueOf = (value: unknown, leftOut: number | undefined): string | undefined => {
  if (leftOut !== undefined) return `${leftOut} bytes; --only or --step shows them`
  return value === undefined ? undefined : JSON.stringify(value)
}
