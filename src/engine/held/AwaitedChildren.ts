/** Which runs of this process wait for which children, while they are in memory. */
import type { Json } from "../../store/RunStore.js"
import type { Driving } from "../pass/Drive.js"
import { childKey } from "../run/ActiveRun.js"
import type { Told } from "./RunEnds.js"

export interface AwaitedChildren {
  readonly add: (driving: Driving, child: string) => void
  /** A history of the run was read: it waits for those of its children that are not over in that. */
  readonly read: (driving: Driving) => void
  /** The run waits for none any more. */
  readonly remove: (driving: Driving) => void
  /** This child is over. */
  readonly finished: (child: string, exit: Json) => void
  readonly all: () => ReadonlyArray<Told>
}

export const make = (): AwaitedChildren => {
  const parents = new Map<string, Set<Driving>>()

  const finished = (child: string, exit: Json) => {
    const waiting = parents.get(child)
    // whoever is told waits for it no more: at each look those that are here are asked for
    parents.delete(child)
    for (const driving of waiting ?? []) {
      driving.awaited?.delete(child)
      driving.run.setChild(child, exit)
      driving.pass?.waits.tell(childKey(child))
    }
  }

  const add = (driving: Driving, child: string) => {
    const waiting = parents.get(child)
    if (waiting === undefined) parents.set(child, new Set([driving]))
    else waiting.add(driving)
    driving.awaited ??= new Set()
    driving.awaited.add(child)
  }

  const forget = (driving: Driving, child: string) => {
    const waiting = parents.get(child)
    if (waiting?.delete(driving) && waiting.size === 0) parents.delete(child)
  }

  return {
    add,
    read: (driving) => {
      for (const [child, exit] of driving.run.children) {
        // one that was over may have been retried since
        if (exit === undefined) add(driving, child)
        else if (driving.awaited?.delete(child)) forget(driving, child)
      }
    },
    remove: (driving) => {
      for (const child of driving.awaited ?? []) forget(driving, child)
    },
    finished,
    all: () =>
      Array.from(parents.keys(), (runId) => ({ runId, tell: (exit) => finished(runId, exit) }))
  }
}
