/**
 * A run that this process holds, in memory: what it has been through, and how its present pass is
 * to end. A pass is one execution of the workflow's function from its beginning, over the recorded
 * history, as far as it goes.
 */
import type { Workflow, WorkflowEngine } from "@effect/workflow"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { ClaimedRun, Held, History, Json, NewTimers, Trace } from "../RunStore.js"

/** A workflow and its function, as registered in this process. */
export interface Registration {
  readonly workflow: Workflow.Any
  readonly execute: (
    payload: object,
    executionId: string
  ) => Effect.Effect<
    unknown,
    unknown,
    WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance
  >
  /** What else the function needs: the services around its registration. */
  readonly services: Context.Context<WorkflowEngine.WorkflowEngine>
}

/**
 * Why a pass is cut from outside, weakest first. None of them is a failure of the run: no
 * compensation runs and nothing is recorded as failed.
 *
 * - `interrupt`: its interrupt was asked for. The next pass replays what is recorded, so that
 *   compensations of all finished steps are in place, and is interrupted where the record ends.
 * - `park`: this process drains; the run becomes pending.
 * - `block`: what is recorded cannot be read; the run waits, suspended, for somebody to resume it.
 * - `lost`: another executor holds the run now.
 */
export type Halt =
  | { readonly _tag: "interrupt" }
  | { readonly _tag: "park" }
  | { readonly _tag: "block"; readonly cause: Json }
  | { readonly _tag: "lost" }

const strength: Record<Halt["_tag"], number> = { interrupt: 0, park: 1, block: 2, lost: 3 }

/** Which of two reasons to cut a pass decides how it ends. */
export const strongerHalt = (a: Halt | undefined, b: Halt): Halt =>
  a !== undefined && strength[a._tag] >= strength[b._tag] ? a : b

export interface ActiveTimer {
  readonly wakeAt: number
  fired: boolean
  saved: boolean
}

/**
 * The signal under which a run keeps what it had seen when its interrupt took hold, so that its
 * forward part ends at the same place however often its compensations are resumed.
 */
export const interruptPoint = "workflow-executor/interrupt-point"

const seenFrom = (exit: Json): ReadonlySet<string> => {
  const seen: unknown = JSON.parse(exit)
  return new Set(Array.isArray(seen) ? seen : [])
}

/** Marks the outcome of a step that a replay need not reach; see `ActiveRun.inner`. */
const innerMark = ',"inner":true}'

export const markInner = (exit: Json): Json => exit.slice(0, -1) + innerMark

/** A child, among what a pass has come by. */
export const childKey = (runId: string): string => `child/${runId}`

export const stepKey = (name: string, attempt: number): string => `${name}/${attempt}`

const noTimers: NewTimers = []

// Thousands of runs may be held, and most collections of most of them stay empty: those are these
// two, and a run has one of its own from the first that it puts in.
const noneOf: ReadonlyMap<string, never> = new Map<string, never>()
const none: ReadonlySet<string> = new Set()

const put = <A>(into: ReadonlyMap<string, A>, key: string, value: A): ReadonlyMap<string, A> => {
  // what is not `noneOf` was made here
  const own = into === noneOf ? new Map<string, A>() : (into as Map<string, A>)
  return own.set(key, value)
}

const add = (to: ReadonlySet<string>, key: string): ReadonlySet<string> => {
  // what is not `none` was made here
  const own = to === none ? new Set<string>() : (to as Set<string>)
  return own.add(key)
}

const remove = (from: ReadonlySet<string>, key: string): void => {
  // what is not `none` was made here
  if (from !== none) (from as Set<string>).delete(key)
}

export class ActiveRun {
  readonly held: Held
  readonly workflowName: string
  /** Its payload, as recorded. */
  readonly payload: Json
  /** The span under which the run was created. */
  readonly trace: Trace | undefined
  /** The recorded outcomes of its steps. */
  steps: ReadonlyMap<string, Json> = noneOf
  signals: ReadonlyMap<string, Json> = noneOf
  timers: ReadonlyMap<string, ActiveTimer> = noneOf
  /** Linked children; `undefined` while one is not over. */
  children: ReadonlyMap<string, Json | undefined> = noneOf
  /**
   * Steps that were executed inside another step, a race or a compensation: one that replays the
   * workflow itself does not come by them.
   */
  private inner = none
  /** What the run had seen when its interrupt took hold first. */
  seen: ReadonlySet<string> | undefined = undefined
  /** Of its children, those that were started to be discarded and have not been awaited since. */
  discarded = none
  /** `History.wakeups` that the present pass began with. */
  wakeups = 0
  /** This pass ends where the record ends, in an interrupt. */
  interrupting = false

  // --- of the present pass
  halt: Halt | undefined = undefined
  /** A step or a wait was refused because this process drains. */
  refused = false
  /** A wait was told that what it waits for is not there: the run is to suspend. */
  waitedInVain = false
  /** The workflow is over; its compensations and finalizers are running. */
  closing = false
  /** A compensation was executed, or whatever else was to be done if it failed. */
  compensated = false
  // where an interrupting pass ends is found out from these two; no other pass keeps them
  /** Steps and children whose outcome this pass has come by. */
  private reached = none
  /** Signals, timers and children that this pass has found there. */
  found = none
  /** Grows with everything that this pass comes by. */
  progress = 0
  /** Call when this pass has come by something, or is over. */
  onProgress: (() => void) | undefined = undefined
  instance: WorkflowEngine.WorkflowInstance["Type"] | undefined = undefined
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  /** It was given back, for another executor to go on with. */
  handedOver = false
  /** This process does not hold it any more: nothing of it may begin here. */
  lost = false
  /** Signals to itself that are being written. */
  writes = 0
  /** Steps in flight of this run. */
  stepsInFlight = 0
  /** Grows with everything that a wait in this pass may wait for. */
  version = 0
  /** Call when something a wait in this pass may wait for has changed. */
  private waits: Set<() => void> | undefined = undefined

  constructor(
    readonly registration: Registration,
    claimed: ClaimedRun
  ) {
    this.held = claimed.held
    this.workflowName = claimed.workflow
    this.payload = claimed.payload
    this.trace = claimed.trace
    this.load(claimed.history)
  }

  get runId(): string {
    return this.held.runId
  }

  /** Takes in a history as read from the store; it only ever grows. */
  load(history: History): void {
    for (const step of history.steps) {
      const key = stepKey(step.name, step.attempt)
      this.steps = put(this.steps, key, step.exit)
      if (step.exit.endsWith(innerMark)) this.inner = add(this.inner, key)
    }
    for (const signal of history.signals) {
      if (signal.name === interruptPoint) this.seen ??= seenFrom(signal.exit)
      else this.setSignal(signal.name, signal.exit)
    }
    for (const timer of history.timers) {
      const fired = timer.fired || this.timers.get(timer.name)?.fired === true
      this.setTimer(timer.name, { wakeAt: timer.wakeAt, fired, saved: true })
    }
    for (const child of history.children) this.setChild(child.runId, child.exit)
    this.wakeups = history.wakeups
    if (history.interruptRequested) this.interrupting = true
  }

  beginPass(instance: WorkflowEngine.WorkflowInstance["Type"]): void {
    this.halt = undefined
    this.refused = false
    this.waitedInVain = false
    this.closing = false
    this.compensated = false
    this.instance = instance
    this.reached = none
    this.found = none
  }

  /** A step was recorded. */
  setStep(key: string, exit: Json): void {
    this.steps = put(this.steps, key, exit)
  }

  setSignal(name: string, exit: Json): void {
    this.signals = put(this.signals, name, exit)
  }

  setTimer(name: string, timer: ActiveTimer): void {
    this.timers = put(this.timers, name, timer)
  }

  /** @param exit `undefined` while it is not over */
  setChild(runId: string, exit: Json | undefined): void {
    this.children = put(this.children, runId, exit)
  }

  /** The child is started to be discarded, or awaited after that. */
  setDiscarded(child: string, discarded: boolean): void {
    if (discarded) this.discarded = add(this.discarded, child)
    else remove(this.discarded, child)
  }

  /** This pass has come by the outcome of a step or a child. */
  reach(key: string, inner: boolean): void {
    if (this.interrupting) this.reached = add(this.reached, key)
    if (inner) this.inner = add(this.inner, key)
    this.progressed()
  }

  /** This pass has found a signal, a timer or a child there. */
  noteFound(key: string): void {
    if (this.interrupting) this.found = add(this.found, key)
  }

  progressed(): void {
    this.progress++
    this.onProgress?.()
  }

  /** Whether there are recorded outcomes that this pass is still to come by. */
  isReplaying(): boolean {
    const isAhead = (key: string) => !this.reached.has(key) && !this.inner.has(key)
    for (const key of this.steps.keys()) if (isAhead(key)) return true
    for (const [child, exit] of this.children) {
      if (exit !== undefined && isAhead(childKey(child))) return true
    }
    return false
  }

  /** @returns what takes it back */
  onChange(wake: () => void): () => void {
    this.waits ??= new Set()
    const { waits } = this
    waits.add(wake)
    return () => {
      waits.delete(wake)
    }
  }

  /** Tells every wait in this pass to look again. */
  changed(): void {
    this.version++
    if (this.waits === undefined || this.waits.size === 0) return
    const { waits } = this
    this.waits = undefined
    for (const wake of waits) wake()
  }

  /** Timers that the store does not have yet; they ride along with the next write. */
  takeNewTimers(): NewTimers {
    if (this.timers.size === 0) return noTimers
    const timers: Array<NewTimers[number]> = []
    for (const [name, timer] of this.timers) {
      if (timer.saved) continue
      timer.saved = true
      timers.push({ name, wakeAt: timer.wakeAt })
    }
    return timers
  }

  /** After a write that did not happen: its timers are to be written with the next. */
  returnTimers(timers: NewTimers): void {
    for (const { name } of timers) {
      const timer = this.timers.get(name)
      if (timer !== undefined) timer.saved = false
    }
  }

  /** When the earliest timer that has not fired is due. */
  nextWakeAt(): number | undefined {
    let next: number | undefined
    for (const timer of this.timers.values()) {
      if (!timer.fired && (next === undefined || timer.wakeAt < next)) next = timer.wakeAt
    }
    return next
  }
}
