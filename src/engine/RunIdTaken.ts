import * as Data from "effect/Data"
import * as Either from "effect/Either"
import type { NewRun, Run } from "../store/RunStore.js"

/**
 * The run of that id is one of another workflow: a run's id is made of the workflow's name and the
 * key, `order` with `item-5` and `order-item` with `5` make the same.
 */
export class RunIdTaken extends Data.TaggedError("RunIdTaken")<{
  readonly runId: string
  /** The workflow that was to be started. */
  readonly workflow: string
  /** The workflow whose run it is. */
  readonly by: string
}> {
  override get message() {
    return `Workflow ${JSON.stringify(this.workflow)} cannot be started with this key: its run would have the id ${this.runId}, which is that of a run of workflow ${JSON.stringify(this.by)}; choose another key`
  }
}

/** The run that the store has for one that was to be created, unless it is another workflow's. */
export const ofSameWorkflow =
  ({ runId, workflow }: NewRun) =>
  <Found extends { readonly run: Run; readonly skipped?: true | undefined }>(
    found: Found
  ): Either.Either<Found, RunIdTaken> =>
    // workflows may share a queue, and so its keys
    found.skipped === true || found.run.workflow === workflow
      ? Either.right(found)
      : Either.left(new RunIdTaken({ runId, workflow, by: found.run.workflow }))
