import type { Locking } from "../Admission.js"

export const locking: Locking = { forUpdate: "FOR UPDATE", skipLocked: "FOR UPDATE SKIP LOCKED" }
