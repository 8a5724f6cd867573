/**
 * One action for many runs, with a request for each: for some that were chosen, and where the executor
 * does nothing with many at once, because it is decided for each who may do what with it, or because the
 * token is not for that.
 */
import { useEffect, useRef, useState } from "preact/hooks"
import type { ListRequest } from "../../api/Requests.js"
import type { RunView } from "../../api/RunView.js"
import { Dialog } from "../parts/Dialog.js"
import { Problem } from "../parts/Problem.js"
import { counted } from "../parts/Words.js"
import { questionOf } from "../run/ActionBar.js"
import { type Action, consequences, labels, notPossible, participles } from "../run/Actions.js"
import { ask, list, type Problem as Told } from "../server/Server.js"

/** So many are taken on at once: each is a request. */
const mostRuns = 10_000

/** So many are asked for at the same time. */
const atOnce = 4

type Chosen = Pick<RunView, "runId" | "status" | "error">

export type Selection =
  | { readonly kind: "some"; readonly runs: ReadonlyArray<Chosen> }
  | { readonly kind: "all"; readonly request: ListRequest }

interface Collected {
  readonly runs: ReadonlyArray<Chosen>
  readonly isDone: boolean
  /** There are more than are taken on. */
  readonly isCut: boolean
  readonly problem: Told | undefined
}

const usePreview = (selection: Selection): Collected => {
  const [collected, setCollected] = useState<Collected>({
    runs: selection.kind === "some" ? selection.runs : [],
    isDone: selection.kind === "some",
    isCut: false,
    problem: undefined
  })
  // who it is for is decided once
  useEffect(() => {
    if (selection.kind === "some") return undefined
    const controller = new AbortController()
    const collect = async () => {
      let runs: ReadonlyArray<Chosen> = []
      let cursor: string | undefined
      do {
        const answer = await ask(
          list({ ...selection.request, limit: 200, cursor }),
          controller.signal
        )
        if (controller.signal.aborted) return
        if (!answer.ok) return setCollected((before) => ({ ...before, problem: answer.problem }))
        runs = [...runs, ...answer.value.runs]
        cursor = answer.value.nextCursor ?? undefined
        const isCut = cursor !== undefined && runs.length >= mostRuns
        setCollected({
          runs,
          isDone: cursor === undefined || isCut,
          isCut,
          problem: undefined
        })
        if (isCut) return
      } while (cursor !== undefined)
    }
    void collect()
    return () => controller.abort()
  }, [])
  return collected
}

interface Progress {
  readonly done: number
  readonly refused: ReadonlyMap<string, number>
}

const nothing: Progress = { done: 0, refused: new Map() }

const refusedOnce = (progress: Progress, message: string): Progress => ({
  ...progress,
  refused: new Map(progress.refused).set(message, (progress.refused.get(message) ?? 0) + 1)
})

/** Without what is different for each: refusals are told by their kind. */
const kindOf = (message: string, runId: string) => message.replaceAll(runId, "…").slice(0, 200)

const useWork = (action: Action) => {
  const [progress, setProgress] = useState(nothing)
  const [state, setState] = useState<"asking" | "working" | "over">("asking")
  const stopped = useRef(false)
  useEffect(
    () => () => {
      stopped.current = true
    },
    []
  )
  const work = async (runs: ReadonlyArray<Chosen>) => {
    setState("working")
    const queue = runs.values()
    const worker = async () => {
      for (const { runId } of queue) {
        if (stopped.current) return
        const answer = await ask(questionOf(action, runId))
        setProgress((before) =>
          answer.ok
            ? { ...before, done: before.done + 1 }
            : refusedOnce(before, kindOf(answer.problem.message, runId))
        )
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    setState("over")
  }
  const stop = () => {
    stopped.current = true
  }
  return { progress, state, work, stop }
}

export const OneByOne = ({
  action,
  onClose,
  selection
}: {
  readonly action: Action
  readonly selection: Selection
  /** @param done whether something was done */
  readonly onClose: (done: boolean) => void
}) => {
  const { isCut, isDone, problem, runs } = usePreview(selection)
  const { progress, state, stop, work } = useWork(action)
  const possible = runs.filter((run) => notPossible(action, run) === undefined)
  const refused = Array.from(progress.refused.values()).reduce((sum, count) => sum + count, 0)
  const close = () => {
    stop()
    onClose(state !== "asking")
  }
  return (
    <Dialog title={`${labels[action]} runs`} onClose={close}>
      {problem === undefined ? null : <Problem problem={problem} />}
      {state === "asking" ? (
        <Preview {...{ action, isCut, isDone, possible: possible.length, total: runs.length }} />
      ) : (
        <>
          <progress max={possible.length} value={progress.done + refused} aria-label="Progress" />
          <p role="status">
            {state === "over" ? "Done: " : ""}
            {counted(progress.done, "run")} of {possible.length}
            {refused === 0 ? "" : `; ${counted(refused, "was", "were")} refused`}
          </p>
          <ul>
            {Array.from(progress.refused, ([message, times]) => (
              <li key={message} class="text">
                {times}×: {message}
              </li>
            ))}
          </ul>
        </>
      )}
      <p class="buttons">
        <button type="button" onClick={close}>
          {state === "asking" ? "Cancel" : state === "over" ? "Close" : "Stop"}
        </button>
        {state === "asking" ? (
          <button
            type="button"
            class="danger"
            disabled={!isDone || possible.length === 0}
            onClick={() => void work(possible)}
          >
            {isDone ? `${labels[action]} ${counted(possible.length, "run")}` : "Counting"}
          </button>
        ) : null}
      </p>
    </Dialog>
  )
}

export const Preview = ({
  action,
  isCut,
  isDone,
  possible,
  total
}: {
  readonly action: Action
  readonly isDone: boolean
  readonly isCut: boolean
  readonly possible: number
  readonly total: number
}) => (
  <>
    <p role="status">
      {isDone ? "" : "Counting: "}
      {counted(total, "run")} selected{isCut ? ", the newest of those that match" : ""};{" "}
      <strong>{counted(possible, "run")}</strong> can be {participles[action]}.
      {total > possible && isDone
        ? ` ${counted(total - possible, "is", "are")} in no status for it.`
        : ""}
    </p>
    <p>{consequences[action]}</p>
  </>
)
