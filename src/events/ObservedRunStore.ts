/**
 * A RunStore whose writes are told of, once they are committed.
 *
 * What the store answers with says what has changed, but for a few writes that only say of how many
 * runs they were (`wakeDue`, `takeOver`, `signal`, `prune`): runs that become `pending` by these are
 * told of when they are claimed. So are children that are retried with their parent.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type {
  ClaimedRun,
  CreatedRun,
  Held,
  RunStatus,
  RunStore,
  RunStoreError,
  WithFinished
} from "../store/RunStore.js"
import type { Publish, RunChanged } from "./Event.js"

type Store = RunStore["Type"]

export const observe = (store: Store, publish: Publish, clock: Clock.Clock): Store => {
  /** A `Held` does not say of which workflow its run is; whoever holds it writes with it. */
  const workflows = new WeakMap<Held, string>()

  const holds = ({ held, workflow }: ClaimedRun) => {
    workflows.set(held, workflow)
  }

  const tellRun = (runId: string, workflow: string, status: RunChanged["status"]) =>
    publish({ type: "run", at: clock.unsafeCurrentTimeMillis(), runId, workflow, status })

  const tellHeld = (held: Held, status: RunStatus) => {
    const workflow = workflows.get(held)
    if (workflow !== undefined) tellRun(held.runId, workflow, status)
  }

  const tellStep = (
    step: Parameters<Store["recordStep"]>[0] | Parameters<Store["noteStep"]>[0]
  ) => {
    const workflow = workflows.get(step.held)
    if (workflow === undefined) return
    publish({
      type: "step",
      at: step.completedAt ?? clock.unsafeCurrentTimeMillis(),
      runId: step.held.runId,
      workflow,
      name: step.name,
      attempt: step.attempt,
      status: step.status
    })
  }

  const find = (runId: string) =>
    Effect.map(Effect.option(store.find(runId)), (found) =>
      Option.getOrUndefined(Option.flatten(found))
    )

  /** Of a run that was made `pending`; whoever has taken it since has told so. */
  const tellPending = (runId: string) =>
    Effect.map(find(runId), (run) => {
      if (run?.status === "pending") tellRun(runId, run.workflow, "pending")
    })

  const tellIfWoken = (runId: string) => (before: Option.Option<RunStatus>) =>
    Option.contains(before, "suspended") ? tellPending(runId) : Effect.void

  const remove = (runId: string): Effect.Effect<WithFinished, RunStoreError> =>
    Effect.flatMap(find(runId), (run) =>
      Effect.map(store.remove(runId), (answer) => {
        if (run !== undefined && answer._tag === "Done") tellRun(runId, run.workflow, "deleted")
        return answer
      })
    )

  const tellCreated = (answer: CreatedRun) => {
    if (answer.claimed !== undefined) holds(answer.claimed)
    for (const { runId, workflow } of answer.superseded ?? []) tellRun(runId, workflow, "deleted")
    if (answer.created) tellRun(answer.run.runId, answer.run.workflow, answer.run.status)
    return answer
  }

  return {
    ...store,
    create: (run, claimFor) => Effect.map(store.create(run, claimFor), tellCreated),
    by: (held) => {
      const writes = store.by(held)
      return {
        create: (run, claimFor) => Effect.map(writes.create(run, claimFor), tellCreated),
        signal: writes.signal,
        wake: (runId) => Effect.tap(writes.wake(runId), tellIfWoken(runId)),
        requestInterrupt: (runId) => Effect.tap(writes.requestInterrupt(runId), tellIfWoken(runId)),
        interruptChild: (runId) => Effect.tap(writes.interruptChild(runId), tellIfWoken(runId))
      }
    },
    claim: (options) =>
      Effect.map(store.claim(options), (claimed) => {
        for (const run of claimed) {
          holds(run)
          tellRun(run.held.runId, run.workflow, "running")
        }
        return claimed
      }),
    recordStep: (step) => Effect.map(store.recordStep(step), () => tellStep(step)),
    noteStep: (step) => Effect.map(store.noteStep(step), () => tellStep(step)),
    suspend: (suspension) =>
      Effect.map(store.suspend(suspension), (woken) => {
        if (Option.isNone(woken)) tellHeld(suspension.held, "suspended")
        return woken
      }),
    complete: (completion) =>
      Effect.map(store.complete(completion), () => tellHeld(completion.held, completion.status)),
    release: (runs) =>
      Effect.tap(store.release(runs), (released) => {
        // some were held by another executor already
        if (released < runs.length) {
          return Effect.forEach(runs, ({ held }) => tellPending(held.runId), { discard: true })
        }
        for (const { held } of runs) tellHeld(held, "pending")
        return Effect.void
      }),
    wake: (runId) => Effect.tap(store.wake(runId), tellIfWoken(runId)),
    requestInterrupt: (runId) => Effect.tap(store.requestInterrupt(runId), tellIfWoken(runId)),
    terminate: (options) =>
      Effect.map(store.terminate(options), (answer) => {
        if (answer._tag === "Done") {
          for (const run of answer.runs) tellRun(run.runId, run.workflow, "interrupted")
        }
        return answer
      }),
    changeSchedule: (change) =>
      Effect.map(store.changeSchedule(change), (runs) => {
        for (const run of Option.getOrElse(runs, () => [])) tellCreated(run)
        return runs
      }),
    retry: (options) =>
      Effect.tap(store.retry(options), ({ _tag }) =>
        _tag === "Done" ? tellPending(options.runId) : Effect.void
      ),
    remove
  }
}
