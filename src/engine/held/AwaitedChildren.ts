/** Which runs of this process wait for which children, while they are in memory. */
import type { Json } from "../../store/RunStore.js"
import type { Driving } from "../pass/Drive.js"
import { childKey } from "../run/ActiveRun.js"
import type { Told } from "./RunEnds.js"

export interface AwaitedChildren {
  readonly add: (driving: Driving, child: string) => void
  /** The run waits for none any more. */
  readonly remove: (driving: Driving) => void
  /** This child is over. */
  readonly finished: (child: string, exit: Json) => void
  readonly all: () => ReadonlyArray<Told>
}

export const make = (): AwaitedChildren => {
  const parents = new Map<string, Set<Driving>>()

  const finished = (child: string, exit: Json) => {
    for (const { pass, run } of parents.get(child) ?? []) {
      run.setChild(child, exit)
      pass?.waits.tell(childKey(child))
    }
  }

  return {
    add: (driving, child) => {
      const waiting = parents.get(child)
      if (waiting === undefined) parents.set(child, new Set([driving]))
      else waiting.add(driving)
      driving.awaited ??= new Set()
      driving.awaited.add(child)
    },
    remove: (driving) => {
      for (const child of driving.awaited ?? []) {
        const waiting = parents.get(child)
        if (waiting?.delete(driving) && waiting.size === 0) parents.delete(child)
      }
    },
    finished,
    all: () =>
      Array.from(parents.keys(), (runId) => ({ runId, tell: (exit) => finished(runId, exit) }))
  }
}
