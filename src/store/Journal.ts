/**
 * The journal of runs: what whoever holds a run writes, and what others tell it.
 *
 * Where a check and a write are one decision, no other write may come in between:
 *
 * - `create` and `signal`: a signal that comes before its run is found by it; a start whose run is
 *   there already finds that one.
 * - `suspend` and whatever wakes (`signal`, a child's `complete`, `wake`, `requestInterrupt`,
 *   `wakeDue`): either the suspension knows of the wake-up, or the wake-up finds it suspended.
 * - `claim`: no run is claimed twice under one claim, whoever claims.
 * - `recordStep`, and every other write of a holder, and `takeOver`: it is written before, or refused
 *   after.
 * - `retry`, `remove` and `prune`, and `create`: a run that is gone is created anew, and one that is
 *   there is not removed below its starter.
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { FinalStatus, RunStatus } from "../api/Status.js"
import type { RunLost, RunStoreError } from "./Failures.js"
import type {
  Held,
  History,
  Json,
  Millis,
  NewRun,
  NewTimers,
  QueueLimits,
  Run,
  Signal,
  Trace,
  WokenRun
} from "./Records.js"

/** What `create` answers with. */
export interface CreatedRun {
  /** As it now is. */
  readonly run: Run
  readonly created: boolean
  /** With `NewRun.replace`, or a debounce: it was there, and has the new payload and options. */
  readonly replaced?: true | undefined
  /** With a debounce: runs whose place it took, which are gone. */
  readonly superseded?: ReadonlyArray<{ readonly runId: string; readonly workflow: string }>
  /** With a `singleton`: it was not created, and `run` is another of its key, which is not over. */
  readonly skipped?: true | undefined
  /** Present where it was claimed at once. */
  readonly claimed: ClaimedRun | undefined
}

export interface ClaimedRun {
  readonly held: Held
  readonly workflow: string
  readonly payload: Json
  readonly trace: Trace | undefined
  /** As in `RunOptions`. */
  readonly timeout?: Millis | undefined
  /** Whoever suspends it is not to keep it: it waits for its turn when it goes on. */
  readonly yields?: true | undefined
  /** The queue of which it has a slot. */
  readonly queue?: string | undefined
  /** How many bytes of JSON it has: its payload and its history. */
  readonly bytes: number
  /** Of one with more bytes than `ClaimOptions.maxRunBytes`: without what it has recorded. */
  readonly history: History
  /** `Suspension.waitsFor` of its last suspension. */
  readonly waitsFor?: Json | undefined
  /** Where its executors have died, so many in a row, while it was under way and got nowhere. */
  readonly crashes?:
    | {
        readonly count: number
        /** The steps that were noted as begun then, and have no outcome. */
        readonly steps: ReadonlyArray<{ readonly name: string; readonly attempt: number }>
      }
    | undefined
}

export interface ClaimOptions {
  readonly executor: number
  readonly workflows: ReadonlyArray<string>
  /** At most so many runs. */
  readonly limit: number
  /**
   * No more once their `bytes` come to this; one run is claimed whatever it has. Default: no bound.
   */
  readonly maxBytes?: number | undefined
  /** The history of a run with more bytes is not read. Default: all are. */
  readonly maxRunBytes?: number | undefined
}

export interface StepOutcome {
  readonly held: Held
  readonly name: string
  readonly attempt: number
  readonly status: "completed" | "failed"
  readonly startedAt: Millis
  readonly completedAt: Millis
  readonly exit: Json
  readonly timers: NewTimers
  /**
   * It was executed inside another step, a race or a compensation: a replay of the workflow need not
   * come by it. Default: false.
   */
  readonly inner?: boolean | undefined
  /**
   * It was executed while a run that failed undid what it had done: in a compensation, or in another
   * finalizer of the workflow's scope. Such a step is `inner`, too. Default: false.
   */
  readonly compensation?: boolean | undefined
}

/** A note about a step that is not an outcome. */
export interface StepNote {
  readonly held: Held
  readonly name: string
  readonly attempt: number
  readonly status: "running" | "interrupted"
  readonly startedAt: Millis
  readonly completedAt: Millis | undefined
  /** See `StepOutcome.compensation`. */
  readonly compensation?: boolean | undefined
}

export interface Suspension {
  readonly held: Held
  /** `History.wakeups` of the history that this pass began with. */
  readonly wakeups: number
  readonly timers: NewTimers
  /** When the earliest timer that the run waits for is due. */
  readonly wakeAt: Millis | undefined
  /** Encoded `Cause`, when it suspends because something failed. */
  readonly cause: Json | undefined
  /** What it waits for, for people to see. */
  readonly waitsFor?: Json | undefined
  /**
   * Its holder keeps the run in memory: while the holder's lease runs, a wake-up makes the run
   * `running` again under the same claim. Default: false.
   */
  readonly keep?: boolean | undefined
}

export interface Completion {
  readonly held: Held
  readonly status: FinalStatus
  readonly exit: Json
  /** Its compensations were executed: what it had done is undone. Default: false. */
  readonly compensated?: boolean | undefined
}

/**
 * What the pass of a held run writes beside the run's own record: signals, children, interrupts and
 * wake-ups, to whichever run they go. Each is refused, and nothing written, once the run is not held
 * under that claim any more; one that waits in its holder's memory still is.
 */
export interface WritesOfHolder {
  /** As `RunStore.create`: of a child. */
  readonly create: (
    run: NewRun,
    claimFor?: number | undefined
  ) => Effect.Effect<CreatedRun, RunStoreError | RunLost>
  /** As `RunStore.signal`. */
  readonly signal: (signal: Signal) => Effect.Effect<boolean, RunStoreError | RunLost>
  /** As `RunStore.wake`. */
  readonly wake: (runId: string) => Effect.Effect<Option.Option<RunStatus>, RunStoreError | RunLost>
  /** As `RunStore.requestInterrupt`. */
  readonly requestInterrupt: (
    runId: string
  ) => Effect.Effect<Option.Option<RunStatus>, RunStoreError | RunLost>
  /**
   * As `requestInterrupt`, of a child whose parent is interrupted; unless it is the child of another
   * run too which waits for it and is not to be interrupted itself: then nothing is written, and the
   * answer is `none`.
   */
  readonly interruptChild: (
    runId: string
  ) => Effect.Effect<Option.Option<RunStatus>, RunStoreError | RunLost>
}

/**
 * What became of a run that is over. `Refused` says why nothing was done with it:
 *
 * - `status`: its status, which is given, does not allow it.
 * - `compensated`: its compensations were executed, or it is not known whether they were.
 * - `terminated`: it was terminated, with what it had done neither finished nor undone.
 * - `parent`: a run that started it goes on from what it came to.
 * - `child`: a run that it started was removed, and would begin anew.
 * - `failed child`: a child has failed or was interrupted, `runId`, and it would fail by it again.
 * - `too many`: more children than one write may take would have to be retried with it.
 *
 * `runId` is the run in the way where that is another one: a child that is to be retried too.
 */
export type WithFinished =
  | { readonly _tag: "Done" }
  | { readonly _tag: "NotFound" }
  | {
      readonly _tag: "Refused"
      readonly status: RunStatus
      readonly because:
        | "status"
        | "compensated"
        | "terminated"
        | "parent"
        | "child"
        | "failed child"
        | "too many"
      readonly runId?: string | undefined
    }

export interface Termination {
  readonly runId: string
  /** What it is to have come to: an encoded `Exit`. */
  readonly exit: Json
  /** Whether the runs that it started, and those that these did, are ended with it. */
  readonly children: boolean
}

/**
 * What became of a termination. `Done` says which runs it ended; `Refused` that the run, whose
 * status is given, was over, and with `children` all below it too.
 */
export type Terminated =
  | {
      readonly _tag: "Done"
      readonly runs: ReadonlyArray<{ readonly runId: string; readonly workflow: string }>
    }
  | { readonly _tag: "NotFound" }
  | { readonly _tag: "Refused"; readonly status: RunStatus; readonly because: "status" }

export interface Prune {
  /** Remove runs that have been over for longer than this. */
  readonly olderThanMillis?: number | undefined
  /** Remove the oldest runs that are over, but for so many. */
  readonly keep?: number | undefined
  /** How many runs to look at. */
  readonly limit: number
}

export interface Pruned {
  /** How many runs were removed. */
  readonly removed: number
  /** There may be more to remove. */
  readonly more: boolean
}

export interface Expiry {
  /** Forget what came longer ago than this. */
  readonly olderThanMillis: number
  /** How many signals to look at. */
  readonly limit: number
}

export interface Expired {
  /** How many signals were removed. */
  readonly removed: number
  /** There may be more to forget. */
  readonly more: boolean
}

export interface Journal {
  /**
   * Stores a run as `pending`; or, with `claimFor`, as `running` and already claimed by that
   * executor, for an executor with room to begin it at once; if that one is not registered, or
   * not any more, as `pending`. A run with the same `runId` is left as it is (`claimed` is then
   * `undefined`). With a `parent` the link is stored too, also when the run existed, but not where that
   * is one of another workflow. Answers with the run as it now is.
   *
   * One with `options.startAt` in the future is `pending` and not claimed, by whomever, before that
   * time; told something, it stays so, unless its interrupt or its wake-up is asked for.
   *
   * One with a `queue` is `pending`, and claimed once it has a slot of that; it gives the slot back when it
   * ends, and when it is suspended unless the queue keeps it. Lanes of a queue, one for each key, get
   * slots in turn, and the runs of a lane by `priority` and then the oldest first. One that goes on after
   * it was suspended waits for a slot again. Limits are never exceeded, whoever claims.
   */
  readonly create: (
    run: NewRun,
    claimFor?: number | undefined
  ) => Effect.Effect<CreatedRun, RunStoreError>

  /** Writes in the name of who holds a run; see `WritesOfHolder`. */
  readonly by: (held: Held) => WritesOfHolder

  /**
   * Claims up to `limit` pending runs of these workflows, by `priority` and then the oldest first, with
   * their history. The `timeout` of one that has not begun before is counted from now. An
   * executor that is not registered, or not any more, claims nothing: nobody would ever take its
   * runs over. Of those with `crashes` of 2 or more one is claimed at a time, whoever claims: the
   * others are `suspended` for a moment. Histories are read after
   * the claim is committed, as they are when this answers.
   */
  readonly claim: (options: ClaimOptions) => Effect.Effect<ReadonlyArray<ClaimedRun>, RunStoreError>

  /** Records a step's outcome. An outcome that is already there stays. */
  readonly recordStep: (step: StepOutcome) => Effect.Effect<void, RunStoreError | RunLost>

  /** Notes a step that is under way or was cut. Never replaces an outcome. */
  readonly noteStep: (step: StepNote) => Effect.Effect<void, RunStoreError | RunLost>

  /**
   * Suspends the run; or, when it had a wake-up since its history was read, keeps it claimed and
   * answers with the new history.
   */
  readonly suspend: (
    suspension: Suspension
  ) => Effect.Effect<Option.Option<History>, RunStoreError | RunLost>

  /**
   * Goes on with a run that was suspended with `keep` and has not been woken since; no effect on
   * one that is `running`. Refused like any other write when it is held by somebody else.
   */
  readonly proceed: (held: Held) => Effect.Effect<void, RunStoreError | RunLost>

  /**
   * Keeps runs in memory no longer that were suspended with `keep`: the next wake-up makes each
   * `pending`. Answers of which that is so: not of those that were woken or taken meanwhile.
   */
  readonly evict: (
    runs: ReadonlyArray<Held>
  ) => Effect.Effect<ReadonlyArray<boolean>, RunStoreError>

  /** Ends the run and wakes the runs that wait for it. */
  readonly complete: (completion: Completion) => Effect.Effect<void, RunStoreError | RunLost>

  /**
   * Gives runs back: each one still held becomes `pending`, or stays `suspended` where it waits in
   * memory. Answers with how many became `pending`. New timers of those are stored.
   */
  readonly release: (
    runs: ReadonlyArray<{ readonly held: Held; readonly timers: NewTimers }>
  ) => Effect.Effect<number, RunStoreError>

  /** The history of a run that is held, read again; `wokenRuns` then leaves it out. */
  readonly history: (held: Held) => Effect.Effect<History, RunStoreError | RunLost>

  /**
   * The histories of runs that are held, as they are now; of one that is not held any more none.
   * Writes nothing: `wokenRuns` tells of them until `sawWakeups` says what was read.
   */
  readonly histories: (
    runs: ReadonlyArray<Held>
  ) => Effect.Effect<ReadonlyArray<Option.Option<History>>, RunStoreError>

  /** So many wake-ups of these runs are known to their holder. */
  readonly sawWakeups: (runs: ReadonlyArray<WokenRun>) => Effect.Effect<void, RunStoreError>

  /**
   * Runs held by this executor that had a wake-up since their history was last read: what another
   * process told them; and those that were terminated while it held them, for an hour. For after a
   * `foreign` change.
   */
  readonly wokenRuns: (executor: number) => Effect.Effect<ReadonlyArray<WokenRun>, RunStoreError>

  /**
   * Stores a signal and wakes the run. The first value of a name stays; answers whether this was
   * it. The run need not exist yet; but for one that was removed nothing is stored, until there is
   * another of that id, or `expire` has forgotten the removal.
   */
  readonly signal: (signal: Signal) => Effect.Effect<boolean, RunStoreError>

  /**
   * Wakes a run that is suspended, and forgets its `crashes`. `None` when there is no such run, else
   * its status before.
   */
  readonly wake: (runId: string) => Effect.Effect<Option.Option<RunStatus>, RunStoreError>

  /** Asks for a run's interrupt and wakes it; no effect on a run that is over. As `wake`. */
  readonly requestInterrupt: (
    runId: string
  ) => Effect.Effect<Option.Option<RunStatus>, RunStoreError>

  /**
   * Makes up to `limit` suspended runs whose timer is due `pending`, lets go of as many whose `startAt`
   * is over, and asks for the interrupt of as many that have begun and whose `timeout` is over. Answers
   * with how many.
   */
  readonly wakeDue: (limit: number) => Effect.Effect<number, RunStoreError>

  /**
   * Sets limits of a queue in place of those that the code declares (`null`: those again), and whether it
   * is paused: nothing of it begins then, and with `parks` nothing goes on: no run of it is claimed. What
   * is held goes on, as far as its holder lets it. What is left out stays. Answers whether there is one.
   */
  readonly changeQueue: (change: {
    readonly name: string
    readonly override?: QueueLimits | null | undefined
    readonly paused?: boolean | undefined
    /** Of one that is paused with this. Default: false. */
    readonly parks?: boolean | undefined
  }) => Effect.Effect<boolean, RunStoreError>

  /** When `wakeDue` has something to do next. */
  readonly nextWakeAt: Effect.Effect<Option.Option<Millis>, RunStoreError>

  /**
   * Ends a run that is not over, in whatever status it is: `interrupted`, with this exit and without
   * compensations. Runs that wait for it are woken; what its holder still writes is refused. With
   * `children` what it has started ends with it, all the way down: also where it was over before.
   */
  readonly terminate: (options: Termination) => Effect.Effect<Terminated, RunStoreError>

  /**
   * Makes a failed or interrupted run whose compensations were not executed `pending` again. What
   * is recorded stays, but for the failures after which no step that completed began.
   *
   * It would fail again by children that it awaited, which failed or were interrupted, and after
   * whose end no step that completed began. With `withChildren` these are retried with it, all or
   * none, and theirs with them, at most 1,000 runs; without, the default, it is refused.
   */
  readonly retry: (options: {
    readonly runId: string
    readonly withChildren?: boolean | undefined
  }) => Effect.Effect<WithFinished, RunStoreError>

  /** Removes a run that is over, with all that belongs to it. */
  readonly remove: (runId: string) => Effect.Effect<WithFinished, RunStoreError>

  /**
   * Removes runs that are over and old or many enough, as `remove` would, from those that ended
   * first. Runs that must stay because of their parent count as removed, and are looked at again
   * once that is removed: it costs in proportion to what it removes.
   */
  readonly prune: (options: Prune) => Effect.Effect<Pruned, RunStoreError>

  /**
   * Removes signals that came longer ago and whose run is still not there, and forgets which runs
   * were removed longer ago.
   */
  readonly expire: (options: Expiry) => Effect.Effect<Expired, RunStoreError>
}
