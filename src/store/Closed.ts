import { RunStoreError } from "./RunStore.js"

export const closed = new RunStoreError({
  reason: "closed",
  message: "The run store has been closed"
})
