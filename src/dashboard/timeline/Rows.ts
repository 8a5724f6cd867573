/**
 * What the timeline of a run shows: a row for each step, for each wait, for each signal and timer that
 * came, and for each child.
 */

import type {
  RunView,
  RunWithStepsView,
  SignalView,
  StepView,
  TimerView,
  WaitView
} from "../../api/RunView.js"
import type { RunStatus, StepStatus } from "../../api/Status.js"
import { counted, millisOf, shortId } from "../parts/Words.js"
import * as Backoff from "../run/Backoff.js"

/** What is no stretch of time, but a moment of it. */
export type Moment = "received" | "decided" | "due"

export interface Bar {
  /** Milliseconds. */
  readonly from: number
  /** `undefined`: it goes on. */
  readonly until: number | undefined
  readonly status: StepStatus | RunStatus | "waiting" | Moment
  /** Of steps; `undefined`: none of them, but a wait between two. */
  readonly attempt: number | undefined
}

export const isMoment = ({ status }: Bar): boolean =>
  status === "received" || status === "decided" || status === "due"

/** How often the step of a row was tried. */
export const attemptsOf = ({ bars }: Row): number =>
  bars.filter(({ attempt }) => attempt !== undefined).length

export interface Row {
  readonly key: string
  /** `compensation`: a step that was executed while its run undid what it had done. */
  readonly kind: "step" | "compensation" | "signal" | "race" | "timer" | "child"
  readonly label: string
  readonly bars: ReadonlyArray<Bar>
  /** When a timer is due. */
  readonly due: number | undefined
  /** Of children. */
  readonly runId: string | undefined
}

const optionally = (iso: string | undefined) => (iso === undefined ? undefined : millisOf(iso))

const barOf = (step: StepView): Bar => ({
  from: millisOf(step.startedAt),
  until: optionally(step.completedAt),
  status: step.status,
  attempt: step.attempt
})

/** One for each name, in the order in which the first attempts started. */
const stepRows = (
  steps: ReadonlyArray<StepView>,
  pauses: ReadonlyArray<Pause>
): ReadonlyArray<Row> => {
  const byName = new Map<string, Array<StepView>>()
  for (const step of steps) {
    const attempts = byName.get(step.name)
    if (attempts === undefined) byName.set(step.name, [step])
    else attempts.push(step)
  }
  return Array.from(byName, ([name, attempts]): Row => {
    const waits = pauses.filter((pause) => pause.step === name)
    return {
      key: `step/${name}`,
      kind: attempts.some(({ compensation }) => compensation === true) ? "compensation" : "step",
      label: name,
      bars: attempts.flatMap((step) => [barOf(step), ...waits.flatMap(pauseAfter(step))]),
      due: waits.find(({ isWaitedFor }) => isWaitedFor)?.due,
      runId: undefined
    }
  })
}

/** The wait between two attempts, which is a timer by its name. */
interface Pause extends Backoff.Backoff {
  readonly due: number
  readonly isWaitedFor: boolean
}

const pauseOf = (name: string, until: string | undefined, isWaitedFor: boolean) => {
  const backoff = Backoff.ofTimer(name)
  return backoff === undefined || until === undefined
    ? undefined
    : { ...backoff, due: millisOf(until), isWaitedFor }
}

/** It begins where the attempt has ended. */
const pauseAfter =
  ({ attempt, completedAt }: StepView) =>
  (pause: Pause): ReadonlyArray<Bar> =>
    pause.attempt !== attempt || completedAt === undefined
      ? []
      : [
          {
            from: millisOf(completedAt),
            until: pause.isWaitedFor ? undefined : pause.due,
            status: "waiting",
            attempt: undefined
          }
        ]

const waitRow = (wait: WaitView): ReadonlyArray<Row> => {
  if (wait.type !== "signal" && wait.type !== "timer") return []
  const until = wait.type === "timer" ? optionally(wait.until) : undefined
  return [
    {
      key: `${wait.type}/${wait.name}`,
      kind: wait.type,
      label: wait.name,
      bars: [
        { from: millisOf(wait.since), until: undefined, status: "waiting", attempt: undefined }
      ],
      due: until,
      runId: undefined
    }
  ]
}

const childRow = (child: RunView): Row => ({
  key: `child/${child.runId}`,
  kind: "child",
  label: `${child.workflow} ${shortId(child.runId)}`,
  bars: [
    {
      from: millisOf(child.createdAt),
      until: optionally(child.completedAt),
      status: child.status,
      attempt: undefined
    }
  ],
  due: undefined,
  runId: child.runId
})

const momentRow = (row: Pick<Row, "key" | "kind" | "label">, at: number, status: Moment): Row => ({
  ...row,
  bars: [{ from: at, until: at, status, attempt: undefined }],
  due: undefined,
  runId: undefined
})

/** A race tells its run so who has won it. */
const race = /^raceAll\//

/** Since when it was waited for is not recorded. */
const signalRow = ({ name, receivedAt }: SignalView, index: number): ReadonlyArray<Row> => {
  if (receivedAt === undefined) return []
  const at = millisOf(receivedAt)
  return [
    race.test(name)
      ? momentRow(
          { key: `race/${index}/${name}`, kind: "race", label: name.replace(race, "") },
          at,
          "decided"
        )
      : momentRow({ key: `received/${index}/${name}`, kind: "signal", label: name }, at, "received")
  ]
}

const timerRow = ({ dueAt, name }: TimerView, index: number): Row =>
  momentRow({ key: `due/${index}/${name}`, kind: "timer", label: name }, millisOf(dueAt), "due")

/**
 * By the time at which they begin.
 *
 * @param now a timer that is due later was not seen to be: it is shown while it is waited for
 */
export const rowsOf = (
  run: RunWithStepsView,
  children: ReadonlyArray<RunView>,
  now: number
): ReadonlyArray<Row> => {
  const waits = run.waitsFor?.first ?? []
  const awaited = waits.filter((wait) => wait.type === "timer")
  const end = optionally(run.completedAt) ?? now
  const past = (run.timers?.last ?? []).filter(
    ({ dueAt, name }) => millisOf(dueAt) <= end && !awaited.some((timer) => timer.name === name)
  )
  const tried = new Set(run.steps.map(({ attempt, name }) => `${attempt}/${name}`))
  const isOfStep = ({ name }: { readonly name: string }) => {
    const backoff = Backoff.ofTimer(name)
    return backoff !== undefined && tried.has(`${backoff.attempt}/${backoff.step}`)
  }
  const pauses = [
    ...awaited.filter(isOfStep).map(({ name, until }) => pauseOf(name, until, true)),
    ...past.filter(isOfStep).map(({ dueAt, name }) => pauseOf(name, dueAt, false))
  ].filter((pause) => pause !== undefined)
  return [
    ...stepRows(run.steps, pauses),
    ...waits.filter((wait) => wait.type !== "timer" || !isOfStep(wait)).flatMap(waitRow),
    ...(run.signals?.last ?? []).flatMap(signalRow),
    ...past.filter((timer) => !isOfStep(timer)).map(timerRow),
    ...children.map(childRow)
  ].sort((a, b) => (a.bars[0]?.from ?? 0) - (b.bars[0]?.from ?? 0))
}

/** What else came that is not told; `undefined`: nothing. */
export const notTold = ({ signals, timers }: RunWithStepsView): string | undefined => {
  const of = (what: string, list: { readonly total: number; readonly told: number }) =>
    list.total > list.told
      ? [`${counted(list.total, what)}, of which the last ${list.told} are here`]
      : []
  const said = [
    ...of("signal", { total: signals?.total ?? 0, told: signals?.last.length ?? 0 }),
    ...of("timer", { total: timers?.total ?? 0, told: timers?.last.length ?? 0 })
  ]
  return said.length === 0 ? undefined : `It has ${said.join("; and ")}.`
}
