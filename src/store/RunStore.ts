/**
 * What survives: runs, steps, signals, timers and executors.
 *
 * A port. The engine and the Runner know this interface only; `SqlRunStore` implements it on
 * `@effect/sql`. Everything an implementation must guarantee is said here and tested by the shared
 * conformance suite in `test/store`.
 *
 * Values cross this port as JSON text (`Json`), already encoded by the schemas of the workflow:
 * the store neither knows nor looks into them. Times are milliseconds since the epoch, read from
 * Effect's Clock.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { FinalStatus, RunStatus, StepStatus } from "../api/Status.js"

export * from "../api/Status.js"

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
}

/** A recorded outcome of a step, as a resumed run reads it. */
export interface RecordedStep {
  readonly name: string
  readonly attempt: number
  /** Encoded `Exit` of the step. */
  readonly exit: Json
}

export interface Timer {
  readonly name: string
  readonly wakeAt: Millis
  /** Seen to be due once; stays so even if the clock is set back. */
  readonly fired: boolean
}

/** A run this run has started. */
export interface Child {
  readonly runId: string
  /** Encoded `Exit`, once the child is over. */
  readonly exit: Json | undefined
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

export interface ClaimedRun {
  readonly held: Held
  readonly workflow: string
  readonly payload: Json
  readonly trace: Trace | undefined
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

/** Where the run's caller was in its trace; W3C ids. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

export interface NewRun {
  readonly runId: string
  readonly workflow: string
  readonly payload: Json
  readonly trace?: Trace | undefined
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
}

/** Where a page of steps has ended: steps are in the order in which they started. */
export interface StepCursor {
  readonly startedAt: Millis
  readonly position: number
}

/** How much of what is recorded is read at once. */
export interface StepsQuery {
  /** At most so many steps. Default: no bound. */
  readonly limit?: number | undefined
  /** No more steps once their outcomes come to more bytes than this; but one. Default: no bound. */
  readonly maxBytes?: number | undefined
  /** A value of more bytes is left out, and its size is told. Default: no bound. */
  readonly maxValueBytes?: number | undefined
  /** `StepsPage.cursor` of the page before. */
  readonly after?: StepCursor | undefined
}

export interface StepsPage {
  /** In the order in which they started. */
  readonly steps: ReadonlyArray<Step>
  /** Where the next page begins; `undefined` when this is the last. */
  readonly cursor: StepCursor | undefined
}

/** Which run it is, and how it stands. */
export interface RunOutline {
  readonly runId: string
  readonly workflow: string
  readonly status: RunStatus
}

/** A run beside another: one that has started it, or that it has started. */
export type Relative = RunOutline

/** How many there are, and the first 20, in the order in which they were created. */
export interface Relatives {
  readonly total: number
  readonly first: ReadonlyArray<Relative>
}

/** A run with what there is about it. */
export interface RunWithSteps extends StepsPage {
  readonly run: Run
  /** Those that have started it. */
  readonly parents: Relatives
  /** Those that it has started, without those that were removed since. */
  readonly children: Relatives
}

/** A run's timers that are not written yet; they ride along with the run's next write. */
export type NewTimers = ReadonlyArray<{ readonly name: string; readonly wakeAt: Millis }>

export interface StepOutcome {
  readonly held: Held
  readonly name: string
  readonly attempt: number
  readonly status: "completed" | "failed"
  readonly startedAt: Millis
  readonly completedAt: Millis
  readonly exit: Json
  readonly timers: NewTimers
}

/** A note about a step that is not an outcome. */
export interface StepNote {
  readonly held: Held
  readonly name: string
  readonly attempt: number
  readonly status: "running" | "interrupted"
  readonly startedAt: Millis
  readonly completedAt: Millis | undefined
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

export interface RunQuery {
  /** Only this run. */
  readonly runId?: string | undefined
  readonly workflow?: string | undefined
  readonly status?: ReadonlyArray<RunStatus> | undefined
  /** Created at this time or later. */
  readonly createdAfter?: Millis | undefined
  /** Created earlier than this. */
  readonly createdBefore?: Millis | undefined
  /** Only runs that no other run has started. */
  readonly roots?: boolean | undefined
  /** Only runs that this run has started. */
  readonly parent?: string | undefined
  /** Only runs that are suspended with a cause: they wait to be mended, and resumed. */
  readonly blocked?: boolean | undefined
  /** At most this many; the caller has bounded it. */
  readonly limit: number
  /** Whether their payloads are read. Default: true. */
  readonly payload?: boolean | undefined
  /** Whether what the completed ones came to is read; why others failed always is. Default: true. */
  readonly result?: boolean | undefined
  /** A value of more bytes is left out, and its size is told. Default: no bound. */
  readonly maxValueBytes?: number | undefined
  /**
   * No more once what is read of them comes to more bytes than this; but one run, whatever it has.
   * Default: no bound.
   */
  readonly maxBytes?: number | undefined
  /** `Page.cursor` of the page before. */
  readonly cursor?: number | undefined
}

export interface Page {
  /** Newest first. */
  readonly runs: ReadonlyArray<Run>
  /** Where the next page begins; `undefined` when this is the last. */
  readonly cursor: number | undefined
}

export interface ExecutorInfo {
  readonly id: number
  readonly host: string
  readonly pid: number
  readonly state: "running" | "draining"
  readonly startedAt: Millis
  readonly leaseUntil: Millis
  /** How many runs it holds. */
  readonly runs: number
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
}

/**
 * The store did not do what it was asked; nothing of that request was written.
 *
 * - `busy`: another process kept the database locked for longer than the store was ready to wait.
 * - `full`: the disk is full.
 * - `unavailable`: it cannot be opened, read or written.
 * - `damaged`: it is no database, or not a whole one. A backup is to be restored.
 * - `gone`: its file was removed, moved or replaced while it was open. Nothing is written any more,
 *   whatever comes in its place: the executor has to end.
 * - `migration`: its schema could not be brought to this version.
 * - `closed`: the store has been closed.
 * - `refused`: the write can never be done, however often it is tried: what it would store is out of
 *   range, is too large, breaks a constraint, or is a text that would not come back as it was.
 */
export class RunStoreError extends Data.TaggedError("RunStoreError")<{
  readonly reason:
    | "busy"
    | "full"
    | "unavailable"
    | "damaged"
    | "gone"
    | "migration"
    | "closed"
    | "refused"
  readonly message: string
  readonly cause?: unknown
}> {}

/** What `create` answers with. */
export interface CreatedRun {
  /** As it now is. */
  readonly run: Run
  readonly created: boolean
  /** Present where it was claimed at once. */
  readonly claimed: ClaimedRun | undefined
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

/** A value for a run's DurableDeferred. */
export interface Signal {
  readonly runId: string
  readonly name: string
  /** Encoded `Exit`. */
  readonly exit: Json
}

/** The run is no longer held by the one who writes: its lease lapsed or it was released. */
export class RunLost extends Data.TaggedError("RunLost")<{
  readonly runId: string
}> {
  override get message() {
    return `Run ${this.runId} is not held by this executor any more; this write was refused`
  }
}

/** A page of the store as `RunStore` needs it: every write is committed when its effect succeeds. */
export class RunStore extends Context.Tag("effect-workflow-executor/RunStore")<
  RunStore,
  {
    /**
     * Stores a run as `pending`; or, with `claimFor`, as `running` and already claimed by that
     * executor, for an executor with room to begin it at once; if that one is not registered, or
     * not any more, as `pending`. A run with the same `runId` is left as it is (`claimed` is then
     * `undefined`). With a `parent` the link is stored too, also when the run existed, but not where that
     * is one of another workflow. Answers with the run as it now is.
     */
    readonly create: (
      run: NewRun,
      claimFor?: number | undefined
    ) => Effect.Effect<CreatedRun, RunStoreError>

    /** Writes in the name of who holds a run; see `WritesOfHolder`. */
    readonly by: (held: Held) => WritesOfHolder

    /**
     * Claims up to `limit` pending runs of these workflows, oldest first, with their history. An
     * executor that is not registered, or not any more, claims nothing: nobody would ever take its
     * runs over. Of those with `crashes` of 2 or more one is claimed at a time, whoever claims: the
     * others are `suspended` for a moment. Histories are read after
     * the claim is committed, as they are when this answers.
     */
    readonly claim: (
      options: ClaimOptions
    ) => Effect.Effect<ReadonlyArray<ClaimedRun>, RunStoreError>

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
     * Ends a run that is not over, in whatever status it is: `interrupted`, with this exit and without
     * compensations. Runs that wait for it are woken; what its holder still writes is refused. With
     * `children` what it has started ends with it, all the way down: also where it was over before.
     */
    readonly terminate: (options: Termination) => Effect.Effect<Terminated, RunStoreError>

    /**
     * Makes a failed or interrupted run whose compensations were not executed `pending` again. What
     * is recorded stays, but for the failures after which no step that completed began, and the
     * signals whose names are in `forget`.
     *
     * It would fail again by children that it awaited, which failed or were interrupted, and after
     * whose end no step that completed began. With `withChildren` these are retried with it, all or
     * none, and theirs with them, at most 1,000 runs; without, the default, it is refused.
     */
    readonly retry: (options: {
      readonly runId: string
      readonly forget: ReadonlyArray<string>
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

    /** Makes up to `limit` suspended runs whose timer is due `pending`. Answers with how many. */
    readonly wakeDue: (limit: number) => Effect.Effect<number, RunStoreError>

    /** When the next timer of a suspended run is due. */
    readonly nextWakeAt: Effect.Effect<Option.Option<Millis>, RunStoreError>

    readonly find: (runId: string) => Effect.Effect<Option.Option<Run>, RunStoreError>

    /**
     * A run with its parents, its children and the first of its steps: by default with all of them,
     * and all values.
     */
    readonly findWithSteps: (
      runId: string,
      query?: Omit<StepsQuery, "after">
    ) => Effect.Effect<Option.Option<RunWithSteps>, RunStoreError>

    /** A page of a run's steps, with its status; `None` when there is no such run. */
    readonly steps: (
      runId: string,
      query: StepsQuery
    ) => Effect.Effect<Option.Option<StepsPage & { readonly status: RunStatus }>, RunStoreError>

    /** One step of a run, with its whole outcome. */
    readonly step: (step: {
      readonly runId: string
      readonly name: string
      readonly attempt: number
    }) => Effect.Effect<Option.Option<Step>, RunStoreError>

    /**
     * Of the last 100 steps of a run that failed, the last one in whose outcome this text is. Reads
     * none of them into memory.
     */
    readonly stepFailedWith: (options: {
      readonly runId: string
      readonly text: string
    }) => Effect.Effect<
      Option.Option<{ readonly name: string; readonly attempt: number }>,
      RunStoreError
    >

    /** The first runs, in the order of their ids, whose id begins so; as quick however many there are. */
    readonly beginningWith: (options: {
      readonly prefix: string
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<RunOutline>, RunStoreError>

    /** Those of these runs that are over. */
    readonly finished: (
      runIds: ReadonlyArray<string>
    ) => Effect.Effect<
      ReadonlyArray<{ readonly runId: string; readonly exit: Json }>,
      RunStoreError
    >

    readonly list: (query: RunQuery) => Effect.Effect<Page, RunStoreError>

    /** How many runs there are in each status; quick, however many there are. */
    readonly counts: Effect.Effect<Readonly<Record<RunStatus, number>>, RunStoreError>

    /** How many runs are suspended with a cause; as quick. */
    readonly blocked: Effect.Effect<number, RunStoreError>

    /**
     * When the oldest run was created that nobody has begun yet. Where a thousand runs of a workflow
     * wait to be resumed, one behind them may be left out.
     */
    readonly oldestPending: Effect.Effect<Option.Option<Millis>, RunStoreError>

    /** Names of workflows that pending runs wait for. */
    readonly pendingWorkflows: Effect.Effect<ReadonlyArray<string>, RunStoreError>

    /** Adds an executor with a lease of `leaseMillis` from now; answers with its id. */
    readonly register: (executor: {
      readonly host: string
      readonly pid: number
      readonly leaseMillis: number
    }) => Effect.Effect<number, RunStoreError>

    /**
     * Renews the lease; `false` when another executor has taken this one's runs over. Looks whether
     * what the store has open is still there, and fails as `gone`, as everything does from then on,
     * where it is not.
     */
    readonly renew: (
      executor: number,
      lease: { readonly leaseMillis: number; readonly state: "running" | "draining" }
    ) => Effect.Effect<boolean, RunStoreError>

    /** Releases whatever this executor still holds, at most `limit` runs; answers with how many. */
    readonly releaseAll: (executor: number, limit: number) => Effect.Effect<number, RunStoreError>

    /** Removes an executor that holds nothing any more; leaves one that does to `takeOver`. */
    readonly unregister: (executor: number) => Effect.Effect<void, RunStoreError>

    /**
     * Takes over from executors whose lease has lapsed, and from those in `dead`, which are known to
     * be gone whatever their lease: up to `limit` of their runs become `pending`, and an executor
     * with none left is removed. Answers with how many runs that were. Never from `by`, which asks:
     * if it was frozen until its own lease had lapsed, it renews that, and goes on.
     *
     * Counts one of its `crashes` for each of these runs that has none yet, or that was at work: its
     * code was executing, or a step of it, as far as `noteStep` and `waitsForRoom` have told since it
     * was claimed. One that has 2 or more then is `suspended` first: for 5 seconds, and four times as
     * long each time, up to 5 minutes; with `maxCrashes` (3 by default) for no time, for it is to be
     * set aside. One does not come to that the first time that others were `suspended` so too. Those
     * others that had 2, and were not tried yet, have 1 again and are `pending`. With `Infinity`
     * nothing is counted.
     */
    readonly takeOver: (options: {
      readonly by?: number | undefined
      readonly maxCrashes?: number | undefined
      readonly limit: number
      readonly dead?: ReadonlyArray<number> | undefined
    }) => Effect.Effect<number, RunStoreError>

    /**
     * The run does nothing but wait until there is room for a step: the death of its executor is not
     * of its doing. For runs that have `crashes`.
     */
    readonly waitsForRoom: (held: Held) => Effect.Effect<void, RunStoreError>

    /** A step of the run was recorded: it forgets its `crashes`. For runs that have any. */
    readonly progressed: (held: Held) => Effect.Effect<void, RunStoreError>

    /** The executor that held these lives: what a take-over has counted of it does not count. */
    readonly survived: (runs: ReadonlyArray<Held>) => Effect.Effect<void, RunStoreError>

    readonly executors: Effect.Effect<ReadonlyArray<ExecutorInfo>, RunStoreError>

    /** A subscription to what commits change, from now on. */
    readonly changes: Effect.Effect<Queue.Dequeue<Change>, never, Scope.Scope>
  }
>() {}
