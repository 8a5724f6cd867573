/** A run as it is now: what was read of it, and what its events have told since. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks"
import type { EventView } from "../../api/EventView.js"
import type { RunWithStepsView, StepsPage, StepView } from "../../api/RunView.js"
import { isFinal } from "../../api/Status.js"
import { type Asked, useAsked, useThrottled } from "../Hooks.js"
import { isListening, ofRun } from "../server/Live.js"
import { type Answer, ask, get, steps as stepsPage } from "../server/Server.js"

type StepEvent = Extract<EventView, { readonly type: "step" }>

/** So many pages of a thousand steps are read. */
const mostPages = 20

const keyOf = ({ attempt, name }: Pick<StepView, "name" | "attempt">) => `${attempt}/${name}`

const viewOf = (event: StepEvent, known: StepView | undefined): StepView => ({
  name: event.name,
  attempt: event.attempt,
  status: event.status,
  startedAt: event.status === "running" ? event.at : (known?.startedAt ?? event.at),
  ...(event.status === "running" ? {} : { completedAt: event.at })
})

/** Whether the newer of the two is the one that was told by an event. */
const isNewer = (told: StepView, read: StepView) =>
  (told.completedAt ?? told.startedAt) > (read.completedAt ?? read.startedAt)

/** What was read, with what was told since in its place, and at the end where it is new. */
export const overlaid = (
  read: ReadonlyArray<StepView>,
  told: ReadonlyMap<string, StepView>
): ReadonlyArray<StepView> => {
  if (told.size === 0) return read
  const known = new Set(read.map(keyOf))
  return [
    ...read.map((step) => {
      const newer = told.get(keyOf(step))
      return newer !== undefined && isNewer(newer, step) ? newer : step
    }),
    ...Array.from(told.values()).filter((step) => !known.has(keyOf(step)))
  ]
}

/** What no reading has confirmed yet. */
export const pruned = (
  told: ReadonlyMap<string, StepView>,
  read: ReadonlyArray<StepView>
): ReadonlyMap<string, StepView> => {
  if (told.size === 0) return told
  const left = new Map(told)
  for (const step of read) {
    const newer = left.get(keyOf(step))
    if (newer !== undefined && !isNewer(newer, step)) left.delete(keyOf(step))
  }
  return left
}

/** The pages after the first, as far as they are read. */
const usePages = (run: RunWithStepsView | undefined) => {
  const [pages, setPages] = useState<ReadonlyArray<StepView>>([])
  const cursor = run?.stepsCursor
  const runId = run?.runId
  const status = run?.status
  // read anew where the run goes on
  useEffect(() => {
    if (cursor === undefined || runId === undefined) return undefined
    const controller = new AbortController()
    const read = async () => {
      let next: string | null = cursor
      let found: ReadonlyArray<StepView> = []
      for (let page = 0; page < mostPages && next !== null; page++) {
        const answer: Answer<StepsPage> = await ask(stepsPage(runId, next), controller.signal)
        if (!answer.ok || controller.signal.aborted) return
        found = [...found, ...answer.value.steps]
        next = answer.value.nextCursor
        setPages(found)
      }
    }
    void read()
    return () => controller.abort()
  }, [cursor, runId, status])
  return cursor === undefined ? [] : pages
}

export const useRun = (runId: string): Asked<RunWithStepsView> => {
  const asked = useAsked(`run ${runId}`, () => get(runId))
  const run = asked.value
  const pages = usePages(run)
  const [told, setTold] = useState<ReadonlyMap<string, StepView>>(new Map())
  useEffect(() => setTold((told) => pruned(told, [...(run?.steps ?? []), ...pages])), [run, pages])
  const readAgain = useThrottled(asked.again, (run?.steps.length ?? 0) > 200 ? 5_000 : 700)
  const known = useRef<ReadonlyArray<StepView>>([])

  const onEvent = useCallback(
    (event: EventView) => {
      if (event.type === "step") {
        const before = known.current.find(
          (step) => step.name === event.name && step.attempt === event.attempt
        )
        const step = viewOf(event, before)
        setTold((told) => new Map(told).set(keyOf(step), step))
      }
      // what it came to, and what it waits for now, is in no event
      readAgain()
    },
    [readAgain]
  )

  const isOver = run !== undefined && isFinal(run.status)
  const isFollowed = run !== undefined && !isOver && isListening.value
  useEffect(() => {
    if (!isFollowed) return undefined
    const fiber = Effect.runFork(
      ofRun(runId).pipe(
        Stream.runForEach((event) => Effect.sync(() => onEvent(event))),
        Effect.ignore
      )
    )
    return () => void Effect.runFork(Fiber.interrupt(fiber))
  }, [runId, isFollowed, onEvent])

  const value = useMemo(() => {
    if (run === undefined) return undefined
    const read = pages.length === 0 ? run.steps : [...run.steps, ...pages]
    const steps = isOver ? read : overlaid(read, told)
    known.current = steps
    return { ...run, steps }
  }, [run, pages, told, isOver])
  return { ...asked, value }
}
