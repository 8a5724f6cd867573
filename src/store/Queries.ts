/** What lists, counts and single runs are read with. Nothing here writes. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { RunStatus } from "../api/Status.js"
import type { RunStoreError } from "./Failures.js"
import type {
  Json,
  Labels,
  Millis,
  Position,
  QueueInfo,
  ReceivedSignal,
  Run,
  SetTimer,
  Step
} from "./Records.js"

/** Where a page of steps has ended: steps are in the order in which they started. */
export interface StepCursor {
  readonly startedAt: Millis
  readonly position: Position
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
export interface Relatives<A extends Relative = Relative> {
  readonly total: number
  readonly first: ReadonlyArray<A>
}

/** A run that another one has started. */
export interface StartedRelative extends Relative {
  /** Of its end, once the run that awaits it was woken by that. */
  readonly position?: Position | undefined
}

/** How many there are, and the last 20, in the order of their positions. */
export interface Latest<A> {
  readonly total: number
  readonly last: ReadonlyArray<A>
}

/** A run with what there is about it. */
export interface RunWithSteps extends StepsPage {
  readonly run: Run
  /** Those that have started it. */
  readonly parents: Relatives
  /** Those that it has started, without those that were removed since. */
  readonly children: Relatives<StartedRelative>
  /** Those that it was sent. */
  readonly signals: Latest<ReceivedSignal>
  /** Those that it has set; of one that completed there are none any more. */
  readonly timers: Latest<SetTimer>
}

/** Which runs. */
export interface RunFilter {
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
  /** Only runs that have all of these. */
  readonly labels?: Labels | undefined
  /** Only runs that are suspended with a cause: they wait to be mended, and resumed. */
  readonly blocked?: boolean | undefined
}

export interface RunQuery extends RunFilter {
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

export interface Queries {
  readonly find: (runId: string) => Effect.Effect<Option.Option<Run>, RunStoreError>

  /**
   * A run with its parents, its children, its signals, its timers and the first of its steps: by
   * default with all of them, and all values.
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

  /**
   * Those of these runs that are over. With `tells`, when one of the others ends in another process, that
   * is told of as `foreign`.
   */
  readonly finished: (
    runIds: ReadonlyArray<string>,
    options?: { readonly tells?: boolean }
  ) => Effect.Effect<ReadonlyArray<{ readonly runId: string; readonly exit: Json }>, RunStoreError>

  /** Those of these ids that no run has. */
  readonly missing: (
    runIds: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>, RunStoreError>

  readonly list: (query: RunQuery) => Effect.Effect<Page, RunStoreError>

  /** How many runs there are in each status; quick, however many there are. */
  readonly counts: Effect.Effect<Readonly<Record<RunStatus, number>>, RunStoreError>

  /** How many of these runs there are in each status; looks at each of them. */
  readonly countBy: (
    filter: RunFilter
  ) => Effect.Effect<Readonly<Record<RunStatus, number>>, RunStoreError>

  /** How many runs are suspended with a cause; as quick. */
  readonly blocked: Effect.Effect<number, RunStoreError>

  /**
   * When the oldest run was created that nobody has begun yet. Where a thousand runs of a workflow
   * wait to be resumed, one behind them may be left out.
   */
  readonly oldestPending: Effect.Effect<Option.Option<Millis>, RunStoreError>

  /** The queues, by their names. */
  readonly queues: Effect.Effect<ReadonlyArray<QueueInfo>, RunStoreError>

  /** Names of workflows that pending runs wait for. */
  readonly pendingWorkflows: Effect.Effect<ReadonlyArray<string>, RunStoreError>
}
