/** What the writes of this store are done with. */

import type { ChangeLog } from "../ChangeLog.js"
import type { Millis } from "../RunStore.js"
import type { Sql } from "./Sql.js"

/** What an operation works with inside the transaction. */
export interface Transaction extends Sql {
  readonly now: Millis
  readonly log: ChangeLog
}
