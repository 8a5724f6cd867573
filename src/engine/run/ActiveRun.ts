/**
 * A run that this process holds, in memory: what it has been through.
 */
import type { Workflow, WorkflowEngine } from "@effect/workflow"
import type * as Effect from "effect/Effect"
import type { ClaimedRun, Held, History, Json, NewTimers, Trace } from "../../store/RunStore.js"
import type { Spans } from "../../telemetry/Spans.js"
import type { Origin } from "../pass/Fibers.js"

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
  /**
   * What its runs' fibers start with: all that the layers around its registration provide and set,
   * such as its services, ConfigProvider, loggers and tracer.
   */
  readonly origin: Origin
  /** With the tracer that is set there. */
  readonly spans: Spans
  /** Open once no step of it starts here any more: a drain has begun. */
  readonly draining: Effect.Latch
}

export interface ActiveTimer {
  readonly wakeAt: number
  /** Seen to be due once; stays so even if the clock is set back. */
  fired: boolean
}

/** A child, among what a pass has come by. */
export const childKey = (runId: string): string => `child/${runId}`

/** The child that a key of `childKey` stands for. */
export const childOfKey = (key: string): string | undefined =>
  key.startsWith("child/") ? key.slice("child/".length) : undefined

export const stepKey = (name: string, attempt: number): string => `${name}/${attempt}`

const noTimers: NewTimers = []
const noSteps: ReadonlyArray<string> = []

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

const append = (to: NewTimers, timer: NewTimers[number]): NewTimers => {
  // what is not `noTimers` was made here
  const own = to === noTimers ? [] : (to as Array<NewTimers[number]>)
  own.push(timer)
  return own
}

export class ActiveRun {
  readonly held: Held
  readonly workflowName: string
  /** Its payload, as recorded. */
  readonly payload: Json
  /** It waits for its turn again when it goes on: it is not kept while it is suspended. */
  readonly yields: boolean
  /** The queue of which it has a slot. */
  readonly queue: string | undefined
  /** How long it may take, if that is bounded. */
  readonly timeout: number | undefined
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
  /** Of its children, those that were started to be discarded and have not been awaited since. */
  discarded = none
  /** How many wake-ups of the run are known here, with what they brought. */
  wakeups = 0
  /** `wakeups` when it was suspended, while it waits here in memory. */
  suspendedAt: number | undefined = undefined
  /** Its suspension is being written. */
  suspending = false
  /** Its interrupt was asked for. */
  interrupting = false
  /** What was there when its interrupt was asked for, if that is known. */
  private beforeInterrupt: ReadonlySet<string> | undefined = undefined
  /** About how many bytes of JSON it keeps in memory. */
  bytes = 0
  /** Told when they become more. */
  onGrowth: ((run: ActiveRun, bytes: number) => void) | undefined = undefined
  /** How many of its executors have died in a row, while it was under way and got nowhere. */
  crashes: number
  /** The steps that were under way then, as far as that was noted. */
  readonly startedBefore: ReadonlyArray<string>
  /** What was noted of it here because of that: that it waits for room, or has begun a step. */
  noted: "nothing" | "waits" | "step" = "nothing"
  /** It was given back, for another executor to go on with. */
  handedOver = false
  /** What it was last told to wait for: see `WaitingFor`. */
  waitsFor: Json | undefined = undefined
  /** This process does not hold it any more: nothing of it may begin here. */
  lost = false
  /** Whoever took over was told that this executor lives, or nobody is to be: see `Survived`. */
  survivalTold = false
  /**
   * Its workflow was paused, and it is to park: it is given back, also if that goes on before it was. What
   * was refused in a pass waits until that is ended, and would wait for ever.
   */
  parks = false
  /** Somebody terminated it: that is why it is lost. */
  terminated = false
  private unsaved: NewTimers = noTimers

  constructor(
    readonly registration: Registration,
    claimed: ClaimedRun
  ) {
    this.held = claimed.held
    this.workflowName = claimed.workflow
    this.payload = claimed.payload
    this.yields = claimed.yields === true
    this.queue = claimed.queue
    this.timeout = claimed.timeout
    this.trace = claimed.trace
    this.waitsFor = claimed.waitsFor
    this.bytes = claimed.payload.length
    this.crashes = claimed.crashes?.count ?? 0
    this.startedBefore =
      claimed.crashes?.steps.map(({ attempt, name }) => stepKey(name, attempt)) ?? noSteps
    this.load(claimed.history)
  }

  get runId(): string {
    return this.held.runId
  }

  /** It is, or is about to be, suspended while it waits here: what it writes is refused. */
  get isSuspended(): boolean {
    return this.suspending || this.suspendedAt !== undefined
  }

  /** Takes in a history as read from the store; it only ever grows. */
  load(history: History): void {
    for (const step of history.steps) {
      const key = stepKey(step.name, step.attempt)
      this.setStep(key, step.exit)
      if (step.inner === true) this.inner = add(this.inner, key)
    }
    for (const signal of history.signals) this.setSignal(signal.name, signal.exit)
    for (const timer of history.timers) {
      const fired = timer.fired || this.timers.get(timer.name)?.fired === true
      this.timers = put(this.timers, timer.name, { wakeAt: timer.wakeAt, fired })
    }
    for (const child of history.children) this.setChild(child.runId, child.exit)
    this.wakeups = history.wakeups
    if (history.interruptRequested) this.interrupting = true
    if (history.beforeInterrupt !== undefined) {
      const { children, signals, timers } = history.beforeInterrupt
      this.beforeInterrupt ??= new Set([...signals, ...timers, ...children.map(childKey)])
    }
  }

  private grow(bytes: number): void {
    this.bytes += bytes
    this.onGrowth?.(this, bytes)
  }

  /** A step was recorded. */
  setStep(key: string, exit: Json): void {
    if (!this.steps.has(key)) this.grow(exit.length)
    this.steps = put(this.steps, key, exit)
  }

  setSignal(name: string, exit: Json): void {
    if (!this.signals.has(name)) this.grow(exit.length)
    this.signals = put(this.signals, name, exit)
  }

  /** The timer keeps the time that it was first given. */
  setTimer(name: string, wakeAt: number): void {
    if (this.timers.has(name)) return
    this.timers = put(this.timers, name, { wakeAt, fired: false })
    this.unsaved = append(this.unsaved, { name, wakeAt })
  }

  /** @param exit `undefined` while it is not over */
  setChild(runId: string, exit: Json | undefined): void {
    if (exit !== undefined && this.children.get(runId) === undefined) this.grow(exit.length)
    this.children = put(this.children, runId, exit)
  }

  /** The child is started to be discarded, or awaited after that. */
  setDiscarded(child: string, discarded: boolean): void {
    if (discarded) this.discarded = add(this.discarded, child)
    else remove(this.discarded, child)
  }

  setInner(key: string): void {
    this.inner = add(this.inner, key)
  }

  /**
   * Its interrupt was asked for, now.
   *
   * @returns whether that is news
   */
  askToInterrupt(now: number): boolean {
    if (this.interrupting) return false
    this.interrupting = true
    if (this.beforeInterrupt !== undefined) return true
    const before = new Set(this.signals.keys())
    for (const [name, { wakeAt }] of this.timers) if (wakeAt <= now) before.add(name)
    for (const [id, exit] of this.children) if (exit !== undefined) before.add(childKey(id))
    this.beforeInterrupt = before
    return true
  }

  /** It came after the interrupt, and is not there for what the interrupt ends. */
  isAfterInterrupt(key: string): boolean {
    return this.beforeInterrupt !== undefined && !this.beforeInterrupt.has(key)
  }

  /** The recorded outcomes that a new pass comes by on its way, if there are any. */
  recorded(): Set<string> | undefined {
    const keys = new Set<string>()
    for (const key of this.steps.keys()) if (!this.inner.has(key)) keys.add(key)
    for (const [child, exit] of this.children) {
      const key = childKey(child)
      if (exit !== undefined && !this.inner.has(key)) keys.add(key)
    }
    return keys.size === 0 ? undefined : keys
  }

  /** When the earliest timer that has not fired is due. */
  nextWakeAt(): number | undefined {
    let next: number | undefined
    for (const { fired, wakeAt } of this.timers.values()) {
      if (!fired && (next === undefined || wakeAt < next)) next = wakeAt
    }
    return next
  }

  /** Timers that the store does not have yet; they ride along with the next write. */
  takeNewTimers(): NewTimers {
    const timers = this.unsaved
    this.unsaved = noTimers
    return timers
  }

  /** After a write that did not happen: its timers are to be written with the next. */
  returnTimers(timers: NewTimers): void {
    for (const timer of timers) this.unsaved = append(this.unsaved, timer)
  }
}
