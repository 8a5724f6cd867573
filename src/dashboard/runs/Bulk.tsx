/** One action for many runs: how many that are is told first, and what became of them afterwards. */
import { useState } from "preact/hooks"
import type { Action } from "../run/Actions.js"
import { rights } from "../server/Session.js"
import { AtOnce } from "./AtOnce.js"
import { OneByOne, type Selection } from "./OneByOne.js"

export type { Selection } from "./OneByOne.js"

export const BulkDialog = (props: {
  readonly action: Action
  readonly selection: Selection
  /** @param done whether something was done */
  readonly onClose: (done: boolean) => void
}) => {
  const [isRefused, setRefused] = useState(false)
  const { action, onClose, selection } = props
  return selection.kind === "all" && rights.value.admin && !isRefused ? (
    <AtOnce
      action={action}
      filter={selection.request}
      onClose={onClose}
      onRefused={() => setRefused(true)}
    />
  ) : (
    <OneByOne {...props} />
  )
}
