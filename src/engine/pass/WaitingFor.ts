/**
 * What a run waits for when it is suspended, told with its suspension. A wait that goes on over
 * several suspensions, or begins anew on a replay, is as old as when it was first told.
 */

import type { Json } from "../../store/RunStore.js"
import { nameOfTimer } from "../../values/ReservedNames.js"
import { type ActiveRun, childOfKey } from "../run/ActiveRun.js"
import * as WaitedFor from "./WaitedFor.js"
import type { Waits } from "./Waits.js"

const told = (run: ActiveRun, key: string, since: number): WaitedFor.WaitedFor => {
  const cut = (name: string) => name.slice(0, WaitedFor.maxName)
  const child = childOfKey(key)
  if (child !== undefined && run.children.has(child)) {
    return { type: "child", name: cut(child), since }
  }
  const timer = run.timers.get(key)
  if (timer === undefined) return { type: "signal", name: cut(key), since }
  return { type: "timer", name: cut(nameOfTimer(key)), since, until: timer.wakeAt }
}

/** @param before what was told with the suspension before */
export const describe = (
  run: ActiveRun,
  waits: Waits,
  before: Json | undefined
): Json | undefined => {
  const known = WaitedFor.parse(before).first
  const first: Array<WaitedFor.WaitedFor> = []
  for (const { key, since } of waits.keys()) {
    if (first.length === WaitedFor.maxRecorded) break
    const one = told(run, key, since)
    const same = known.find(({ name, type }) => name === one.name && type === one.type)
    first.push(same === undefined ? one : { ...one, since: same.since })
  }
  return WaitedFor.stringify({ total: waits.keyCount, first })
}
