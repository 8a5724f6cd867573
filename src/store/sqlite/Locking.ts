import type { Locking } from "../Admission.js"

/** Transactions are serial: there is nothing to lock. */
export const locking: Locking = { forUpdate: "", skipLocked: "" }
