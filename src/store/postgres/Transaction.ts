import type { ChangeLog } from "../ChangeLog.js"
import type { Millis } from "../RunStore.js"
import type { Sql } from "./Sql.js"

/** What an operation works with inside the transaction. */
export interface Transaction extends Sql {
  /** By Effect's Clock, as all that runs, steps and timers are stamped with. */
  readonly now: Millis
  /**
   * By the database's clock, which is the same for every executor: leases are measured by it alone.
   * Under a clock that is not the system's, that one's time.
   */
  readonly leaseNow: Millis
  /** Unique among batches of writes; the same when one is done again because its answer was lost. */
  readonly batch: number
  /** Nobody creates a run meanwhile. See `SignalFirst`. */
  readonly alone: boolean
  readonly log: ChangeLog
}
