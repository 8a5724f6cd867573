/** What is asked of runs. */
import type { Trace } from "../store/RunStore.js"
import type { Included } from "./RunView.js"
import type { Labels, StartOptions } from "./StartOptions.js"
import type { RunStatus } from "./Status.js"

/** The most runs that one page can have. */
export const maxPageSize = 200

/** So many characters of an id name a run, where no other begins so. */
export const minPrefix = 4

export interface StartRequest {
  /** Name of a registered workflow. */
  readonly workflow: string
  /** JSON that the workflow's payload schema decodes; an empty object when left out. */
  readonly payload?: unknown
  readonly options?: StartOptions | undefined
  /** Where the caller is in its trace; the run's spans become its children. */
  readonly trace?: Trace | undefined
}

/** Labels: only runs that have all of these tags and attributes. */
export interface ListRequest extends Labels {
  readonly workflow?: string | undefined
  /** Only the run of this idempotency key, as the workflow's `idempotencyKey` makes it. */
  readonly key?: string | undefined
  /** Runs in any of these; every status when empty or left out. */
  readonly status?: ReadonlyArray<RunStatus> | undefined
  /** Created at this time or later. */
  readonly createdAfter?: Date | undefined
  /** Created earlier than this. */
  readonly createdBefore?: Date | undefined
  /** Only runs that no other run has started. Default: false. */
  readonly roots?: boolean | undefined
  /** Only runs that the run of this id has started. */
  readonly parent?: string | undefined
  /** Only runs that wait to be mended: they are suspended with an `error`. Default: false. */
  readonly mend?: boolean | undefined
  /**
   * What else is told of each: up to 64 KiB of it, and where it has more, how many bytes. Default:
   * neither.
   */
  readonly include?: ReadonlyArray<Included> | undefined
  /** 1 to 200; what lies outside is brought inside. Default: 50. */
  readonly limit?: number | undefined
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

/** How many characters a reason can have. */
export const maxReasonLength = 1_000

export interface TerminateRequest {
  readonly runId: string
  /** Why, for people; at most 1,000 characters. */
  readonly reason?: string | undefined
  /** Whether the runs that it started are ended too, and those that these did. Default: `false`. */
  readonly children?: boolean | undefined
}

export interface RetryOptions {
  readonly withChildren?: boolean | undefined
}

export interface GetOptions {
  readonly stacks?: boolean | undefined
}

export interface StepsRequest {
  readonly runId: string
  /** `stepsCursor` of the run, or `nextCursor` of the page before. Default: from the first step on. */
  readonly cursor?: string | undefined
  /** Whether what they came to is read; without, all of it is left out. Default: true. */
  readonly values?: boolean | undefined
}

export interface StepRequest {
  readonly runId: string
  readonly name: string
  readonly attempt: number
}

export interface SignalRequest {
  readonly runId: string
  /** Name of the run's DurableDeferred. */
  readonly name: string
  /** JSON that the deferred's success schema decodes; null or left out where it is void. */
  readonly value?: unknown
}
