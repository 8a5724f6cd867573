/** The list of runs, page by page, and as events change it. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import type { ListRequest } from "../../api/Requests.js"
import { useEvents, useEvery, useThrottled } from "../Hooks.js"
import { calmly, refreshes } from "../server/Live.js"
import { ask, list, type Problem } from "../server/Server.js"
import { empty, extended, type Listed, refreshed, told } from "./Merge.js"

const pageSize = 100

export interface LiveRuns extends Listed {
  readonly problem: Problem | undefined
  readonly isRead: boolean
  readonly isReading: boolean
  readonly more: () => void
  readonly again: () => void
}

/** @param key says when it is another list */
export const useRuns = (key: string, request: ListRequest): LiveRuns => {
  const [state, setState] = useState<{ key: string; listed: Listed; isRead: boolean }>({
    key,
    listed: empty,
    isRead: false
  })
  const [problem, setProblem] = useState<Problem | undefined>(undefined)
  const [isReading, setReading] = useState(false)
  const current = useRef(key)
  current.current = key
  const refresh = refreshes.value

  const readFirst = useCallback(async () => {
    const answer = await ask(list({ ...request, limit: pageSize }))
    if (current.current !== key) return
    setProblem(answer.ok ? undefined : answer.problem)
    if (!answer.ok) return
    setState((before) => ({
      key,
      listed:
        before.key === key ? refreshed(before.listed, answer.value) : extended(empty, answer.value),
      isRead: true
    }))
    // the key says when the request changes
  }, [key])

  // also when the connection has come back
  useEffect(() => void readFirst(), [readFirst, refresh])

  const again = useThrottled(() => void readFirst(), 1_000)
  const askAgain = calmly(again)
  useEvery(15, askAgain)
  useEvents((event) => {
    if (event.type !== "run") return
    setState((before) => ({ ...before, listed: told(before.listed, event) }))
    askAgain()
  })

  const listed = state.key === key ? state.listed : empty
  const more = async () => {
    if (listed.cursor === null || isReading) return
    setReading(true)
    const answer = await ask(list({ ...request, limit: 200, cursor: listed.cursor }))
    setReading(false)
    if (current.current !== key) return
    if (!answer.ok) return setProblem(answer.problem)
    setState((before) => ({ ...before, listed: extended(before.listed, answer.value) }))
  }
  return {
    ...listed,
    problem,
    isReading,
    isRead: state.key === key && state.isRead,
    more: () => void more(),
    again
  }
}
