/** A time, as far away as it is, with the exact one at hand. */
import { signal } from "@preact/signals"
import { now } from "../Hooks.js"
import { exact, fromNow, millisOf } from "./Words.js"

const key = "effect-workflow-executor/exact-times"

/** Whether all times are told exactly. */
export const exactTimes = signal(localStorage.getItem(key) === "true")

export const tellExactly = (exactly: boolean): void => {
  localStorage.setItem(key, String(exactly))
  exactTimes.value = exactly
}

export const When = ({ at }: { readonly at: string }) => {
  const millis = millisOf(at)
  const told = exact(millis)
  return (
    <time dateTime={at} title={told}>
      {exactTimes.value ? told : fromNow(millis, now.value)}
    </time>
  )
}
