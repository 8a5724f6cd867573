/** What a RunStore keeps, and what it tells of. */
import type { RunStatus, StepStatus } from "../api/Status.js"

/** JSON text. */
export type Json = string

/** Milliseconds since the epoch. */
export type Millis = number

/**
 * The right to write to a run: who claimed it last. `claim` grows by one whenever the run is
 * claimed, released or taken over, so a write with an old `claim` is recognised and refused.
 */
export interface Held {
  readonly runId: string
  /** The store's own key of the run; opaque to callers. */
  readonly key: number
  readonly claim: number
  /** The id of who has it. */
  readonly executor: number
}

/** Where the run's caller was in its trace; W3C ids. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** What a run can be marked and found by. */
export interface Labels {
  readonly tags?: ReadonlyArray<string> | undefined
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** When a run may begin, how long it may take, and what it is marked with. */
export interface RunOptions extends Labels {
  /** It is `pending` until then, and begun by nobody. */
  readonly startAt?: Millis | undefined
  /** A whole number; of the runs of a workflow that wait, those with the smaller begin first. Default: 0. */
  readonly priority?: number | undefined
  /** How long it may take from its begin on: then its interrupt is asked for. */
  readonly timeout?: Millis | undefined
}

/** How many runs of a queue may be under way, and begin. What is left out is not bounded. */
export interface QueueLimits {
  /** At most so many at a time. */
  readonly concurrency?: number | undefined
  /** At most so many of a key. */
  readonly perKey?: number | undefined
  /** At most so many of a key begin within any window of so many milliseconds. */
  readonly rate?: { readonly limit: number; readonly window: Millis } | undefined
  /** A run that is suspended counts as under way. Default: false. */
  readonly keepsSlot?: boolean | undefined
}

/** So long no other of its key may come: each one that does takes the place of the one before. */
export interface Debounce {
  readonly period: Millis
  /** But no longer than this after the first. Default: no bound. */
  readonly maxWait?: Millis | undefined
}

/** What the start of a run does to others of its key. */
export interface Arrival {
  /** Where one is not over: `skip`, it is not made; `cancel`, the interrupt of that one is asked for. */
  readonly singleton?: "skip" | "cancel" | undefined
  readonly debounce?: Debounce | undefined
}

/** The queue that a run is in. */
export interface QueueOf {
  readonly name: string
  /** For whom it is. */
  readonly key: string
  /** As the code declares them. */
  readonly limits: QueueLimits
  /** Of one that is started, and not the child of another. Default: nothing. */
  readonly arrival?: Arrival | undefined
}

/** A queue, as it is. */
export interface QueueInfo {
  readonly name: string
  readonly declared: QueueLimits
  /** What was set in its place. */
  readonly override?: QueueLimits | undefined
  readonly paused: boolean
  /** It is paused, and what has begun does not go on either. */
  readonly parks?: true | undefined
  /** How many runs are under way. */
  readonly running: number
  /** How many wait for it. */
  readonly waiting: number
}

export interface NewRun {
  readonly runId: string
  readonly workflow: string
  readonly payload: Json
  readonly trace?: Trace | undefined
  readonly options?: RunOptions | undefined
  readonly queue?: QueueOf | undefined
  /**
   * Where there is a run of this id that has not begun, nobody has asked to interrupt and is of the same
   * workflow, that one gets this payload and these options. Default: false.
   */
  readonly replace?: boolean | undefined
  /** The run that starts this one, and whether it waits to be woken by its end. */
  readonly parent?: { readonly runId: string; readonly awaits: boolean } | undefined
}

export interface Run {
  readonly runId: string
  readonly workflow: string
  readonly status: RunStatus
  /** `undefined` only where a query has left it out. */
  readonly payload: Json | undefined
  /** Encoded `Exit`, once the run is over. */
  readonly exit: Json | undefined
  /** Encoded `Cause`: why a `suspended` run stopped where no signal or timer will wake it. */
  readonly cause: Json | undefined
  /** Of what was asked for and is larger than a query's `maxValueBytes`: how many bytes it has. */
  readonly leftOut?:
    | {
        readonly payload?: number | undefined
        readonly exit?: number | undefined
        readonly cause?: number | undefined
      }
    | undefined
  /** `Suspension.waitsFor` of a `suspended` run. */
  readonly waitsFor?: Json | undefined
  /** The executor that holds it. */
  readonly executor: number | undefined
  readonly interruptRequested: boolean
  /**
   * How many executors in a row have died while it was under way, and from the second on at work,
   * without a step of it being recorded in between. Absent where none has.
   */
  readonly crashes?: number | undefined
  /** What it was started with; absent where that was nothing. */
  readonly options?: RunOptions | undefined
  /** It waits for its turn in its queue. */
  readonly queued?: true | undefined
  /** It has not begun, and does not before this: when there is room then. */
  readonly heldUntil?: Millis | undefined
  /** Of one that has a `timeout` and has begun: when it is over. */
  readonly deadline?: Millis | undefined
  /** Its interrupt was asked for because its `timeout` was over. */
  readonly timedOut?: true | undefined
  /**
   * Of one that failed or was interrupted: its compensations were executed, or it is not known whether
   * they were. It is not retried, then.
   */
  readonly compensated?: true | undefined
  /** It was terminated: what it had done is neither kept nor undone. It is not retried, then. */
  readonly terminated?: true | undefined
  readonly createdAt: Millis
  /** When it was first claimed. */
  readonly startedAt: Millis | undefined
  readonly completedAt: Millis | undefined
}

export interface Step {
  readonly name: string
  readonly attempt: number
  readonly status: StepStatus
  readonly startedAt: Millis
  readonly completedAt: Millis | undefined
  /** Encoded `Exit`, once recorded. */
  readonly exit: Json | undefined
  /** Of an `exit` that is larger than a query's `maxValueBytes`, and is left out: how many bytes it has. */
  readonly leftOut?: number | undefined
  readonly position: Position
  /**
   * The executor that executes it, or has. Not there where that was not noted, and with an `exit` that
   * is left out.
   */
  readonly executor?: number | undefined
  /** See `StepOutcome.compensation`. Not told with an `exit` that is left out. */
  readonly compensation?: true | undefined
}

/**
 * Where something stands in the order of what was written of a run: steps as they were written first,
 * signals, timers as they were set, and the ends of children that it has awaited. The smaller came
 * first, whichever process wrote it. Without a meaning beyond that, and beyond the run.
 */
export type Position = number

/** A signal that a run was sent. */
export interface ReceivedSignal {
  readonly name: string
  /** `undefined` where that was not noted. */
  readonly receivedAt: Millis | undefined
  /** 0 where it came before the run did. */
  readonly position: Position
}

/** A timer that a run has set. */
export interface SetTimer extends Timer {
  readonly position: Position
}

/** A recorded outcome of a step, as a resumed run reads it. */
export interface RecordedStep {
  readonly name: string
  readonly attempt: number
  /** Encoded `Exit` of the step. */
  readonly exit: Json
  /** See `StepOutcome.inner`. */
  readonly inner?: boolean | undefined
}

export interface Timer {
  readonly name: string
  readonly wakeAt: Millis
  /** Seen to be due once; stays so even if the clock is set back. */
  readonly fired: boolean
}

/** A run's timers that are not written yet; they ride along with the run's next write. */
export type NewTimers = ReadonlyArray<{ readonly name: string; readonly wakeAt: Millis }>

/** A run this run has started. */
export interface Child {
  readonly runId: string
  /** Encoded `Exit`, once the child is over. */
  readonly exit: Json | undefined
}

/** A value for a run's DurableDeferred. */
export interface Signal {
  readonly runId: string
  readonly name: string
  /** Encoded `Exit`. */
  readonly exit: Json
}

/** Everything a run has been through; what a resumed run replays from. */
export interface History {
  readonly steps: ReadonlyArray<RecordedStep>
  readonly signals: ReadonlyArray<{ readonly name: string; readonly exit: Json }>
  readonly timers: ReadonlyArray<Timer>
  readonly children: ReadonlyArray<Child>
  readonly interruptRequested: boolean
  /**
   * What was there when the interrupt was asked for: names of signals and timers that were due, ids
   * of children that were over. `undefined` where none was, or where it was not noted.
   */
  readonly beforeInterrupt?:
    | {
        readonly signals: ReadonlyArray<string>
        readonly timers: ReadonlyArray<string>
        readonly children: ReadonlyArray<string>
      }
    | undefined
  /**
   * How many wake-ups (signals, finished children, due timers, `wake`, `requestInterrupt`) the run
   * has had when this history was read. Given back to `suspend`, it makes "is the signal there?"
   * and "I suspend" one decision.
   */
  readonly wakeups: number
}

/** A run that was told something. */
export interface Woken {
  readonly runId: string
  /** The claim under which it is held now, or was last. */
  readonly claim: number
  /** How many wake-ups it has had, with this one. */
  readonly wakeups: number
  /** When that was. */
  readonly at: Millis
  /** It was terminated: nobody holds it any more, or ever will. */
  readonly over?: true | undefined
}

/** A run that is held, and how many wake-ups it has had. */
export interface WokenRun {
  readonly held: Held
  readonly wakeups: number
  /** It was terminated: the `claim` is a later one than that of its holder. */
  readonly over?: true | undefined
}

/**
 * What a commit changed, for whoever waits in this process. One value per commit. Losing one must
 * never lose work (the rows are the truth), only time.
 */
export interface Change {
  /** There may be runs to claim. */
  readonly pending: boolean
  /** A process other than this one wrote to the store: look again at whatever you wait for. */
  readonly foreign: boolean
  /**
   * Of a `foreign` one: these runs were told something, and that is all. Whoever holds none of them needs
   * not look.
   */
  readonly told?: ReadonlyArray<string> | undefined
  /** Runs that are over. */
  readonly finished: ReadonlyArray<{ readonly runId: string; readonly exit: Json }>
  /** Signals that were stored. */
  readonly signals: ReadonlyArray<{
    readonly runId: string
    readonly name: string
    readonly exit: Json
  }>
  /** Runs whose interrupt was asked for. */
  readonly interrupts: ReadonlyArray<string>
  /** The wake-ups of unfinished runs, and of those that were terminated, in their order. */
  readonly woken: ReadonlyArray<Woken>
  /** The earliest timer among the runs that this commit suspended. */
  readonly wakeAt: Millis | undefined
  /** Schedules were put, changed or removed. */
  readonly schedules?: true | undefined
  /** There is an operation on many runs to go on with. */
  readonly bulk?: true | undefined
  /** A workflow was paused, or is not any more. */
  readonly pauses?: true | undefined
  /** An executor was seen to be gone: its runs can be taken over. */
  readonly lapsed?: true | undefined
}
