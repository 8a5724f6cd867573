/** Who holds runs, and for how long: executors, their leases, and what becomes of the runs of one that is gone. */
import type * as Effect from "effect/Effect"
import type { RunStoreError } from "./Failures.js"
import type { Held, Millis } from "./Records.js"

export interface ExecutorInfo {
  readonly id: number
  readonly host: string
  readonly pid: number
  /** Of its package; not known of one that does not tell it. */
  readonly version?: string | undefined
  readonly state: "running" | "draining"
  readonly startedAt: Millis
  readonly leaseUntil: Millis
  /** How many runs it holds. */
  readonly runs: number
}

export interface Executors {
  /** Adds an executor with a lease of `leaseMillis` from now; answers with its id. */
  readonly register: (executor: {
    readonly host: string
    readonly pid: number
    readonly version?: string | undefined
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

  /**
   * The run, one that has 2 `crashes` or more, has been under way for long: others that have so many
   * are claimed beside it.
   */
  readonly letOthersTry: (held: Held) => Effect.Effect<void, RunStoreError>

  /**
   * The run has got somewhere, as by a step that was recorded: it forgets its `crashes`. For runs that
   * have any.
   */
  readonly progressed: (held: Held) => Effect.Effect<void, RunStoreError>

  /**
   * The executor that held these lives: what a take-over has counted of it does not count. Those that
   * were set aside go on, and are set aside once more if that was not for this.
   */
  readonly survived: (runs: ReadonlyArray<Held>) => Effect.Effect<void, RunStoreError>

  readonly executors: Effect.Effect<ReadonlyArray<ExecutorInfo>, RunStoreError>
}
