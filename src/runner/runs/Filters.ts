/** Which runs are meant, of what a list, a count or an operation on many runs is asked for. */
import * as Effect from "effect/Effect"
import { type BulkFilter, InvalidQuery, type ListRequest } from "../../api/Runs.js"
import { runStatuses } from "../../api/Status.js"
import * as RunIds from "../../internal/RunIds.js"
import type { RunFilter } from "../../store/RunStore.js"

/** The run that a key is of: each workflow has its own. */
const runIdOf = ({
  key,
  workflow
}: ListRequest): Effect.Effect<string | undefined, InvalidQuery> => {
  if (key === undefined) return Effect.succeed(undefined)
  return workflow === undefined
    ? new InvalidQuery({ message: "A key is one of a workflow: give the workflow too" })
    : RunIds.ofKey(workflow, key)
}

/** JavaScript has no types, and a filter that is not understood would be one that finds nothing. */
const statusesOf = (
  given: BulkFilter["status"]
): Effect.Effect<BulkFilter["status"], InvalidQuery> => {
  if (given === undefined) return Effect.succeed(undefined)
  const isKnown = Array.isArray(given) && given.every((status) => runStatuses.includes(status))
  if (isKnown) return Effect.succeed(given.length === 0 ? undefined : given)
  return new InvalidQuery({
    message: `status is ${JSON.stringify(given)}; expected a list of ${runStatuses.join(", ")}`
  })
}

export const ofRequest = Effect.fnUntraced(function* (request: BulkFilter) {
  const filter: RunFilter = {
    runId: yield* runIdOf(request),
    workflow: request.workflow,
    status: yield* statusesOf(request.status),
    createdAfter: request.createdAfter?.getTime(),
    createdBefore: request.createdBefore?.getTime(),
    roots: request.roots,
    parent: request.parent,
    blocked: request.mend,
    labels: { tags: request.tags, attributes: request.attributes }
  }
  return filter
})

/** Without what leaves out no run. */
export const said = ({ blocked, labels = {}, roots, ...filter }: RunFilter): RunFilter => {
  const { attributes = {}, tags = [] } = labels
  const isLabelled = tags.length > 0 || Object.keys(attributes).length > 0
  const told = {
    ...filter,
    roots: roots === true ? true : undefined,
    blocked: blocked === true ? true : undefined,
    labels: isLabelled ? { tags, attributes } : undefined
  }
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
}

export const isEmpty = (filter: RunFilter): boolean => Object.keys(said(filter)).length === 0

/** For people. */
export const names: ReadonlyArray<string> = [
  "workflow",
  "key",
  "status",
  "createdAfter",
  "createdBefore",
  "roots",
  "parent",
  "mend",
  "tags",
  "attributes"
]
