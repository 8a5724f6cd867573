/** What components have in common: questions that are asked again, events, and the time. */
import { signal } from "@preact/signals"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { type Listener, onEvent, refreshes } from "./server/Live.js"
import { ask, type Problem, type Question } from "./server/Server.js"

export interface Asked<A> {
  /** The newest answer; also while it is asked again, or where that failed. */
  readonly value: A | undefined
  /** Of the last question. */
  readonly problem: Problem | undefined
  readonly again: () => void
}

/**
 * Asks when it is first shown, when the key changes (and then forgets the answer), when `again` is
 * called, and when the connection to the executor has come back.
 */
export const useAsked = <A>(key: string, question: () => Question<A>): Asked<A> => {
  const [state, setState] = useState<{
    readonly key: string
    readonly value: A | undefined
    readonly problem: Problem | undefined
  }>({ key, value: undefined, problem: undefined })
  const [times, setTimes] = useState(0)
  const again = useCallback(() => setTimes((times) => times + 1), [])
  const refresh = refreshes.value
  // the key says when the question changes
  useEffect(() => {
    const controller = new AbortController()
    void ask(question(), controller.signal).then((answer) => {
      if (controller.signal.aborted) return
      setState((before) =>
        answer.ok
          ? { key, value: answer.value, problem: undefined }
          : {
              key,
              value: before.key === key ? before.value : undefined,
              problem: answer.problem
            }
      )
    })
    return () => controller.abort()
  }, [key, times, refresh])
  return state.key === key
    ? { value: state.value, problem: state.problem, again }
    : { value: undefined, problem: undefined, again }
}

/** Calls the listener with what happens, for as long as the component is shown. */
export const useEvents = (listener: Listener): void => {
  const latest = useRef(listener)
  latest.current = listener
  useEffect(() => onEvent((event) => latest.current(event)), [])
}

/** At once, and then not more often than every so many milliseconds; the last call is never lost. */
export const useThrottled = (action: () => void, millis: number): (() => void) => {
  const latest = useRef(action)
  latest.current = action
  const timer = useRef<{ id: number; pending: boolean } | undefined>(undefined)
  useEffect(() => () => window.clearTimeout(timer.current?.id), [])
  return useCallback(() => {
    const run = () => {
      timer.current = {
        pending: false,
        id: window.setTimeout(() => {
          const again = timer.current?.pending === true
          timer.current = undefined
          if (again) run()
        }, millis)
      }
      latest.current()
    }
    if (timer.current === undefined) run()
    else timer.current.pending = true
  }, [millis])
}

/** Asks again every so many seconds, while the page is seen: what no event tells of. */
export const useEvery = (seconds: number, action: () => void): void => {
  const latest = useRef(action)
  latest.current = action
  useEffect(() => {
    const id = window.setInterval(() => {
      if (document.visibilityState === "visible") latest.current()
    }, seconds * 1_000)
    return () => window.clearInterval(id)
  }, [seconds])
}

/** The time, by the second, while the page is seen. */
export const now = signal(Date.now())

window.setInterval(() => {
  if (document.visibilityState === "visible") now.value = Date.now()
}, 1_000)

/** What the tab is called while the component is shown. */
export const useTitle = (title: string): void => {
  useEffect(() => {
    document.title = `${title} · Workflows`
  }, [title])
}
