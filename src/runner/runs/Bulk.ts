/** Operations on all runs of a filter: asked for here, and gone on with by `BulkLoop`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type BulkFilterView,
  BulkNotFound,
  type BulkRequest,
  type BulkView,
  EmptyFilter,
  InvalidQuery,
  InvalidReason,
  maxReasonLength
} from "../../api/Runs.js"
import type {
  BulkOperation,
  RunFilter,
  RunStatus,
  RunStore,
  RunStoreError
} from "../../store/RunStore.js"
import * as Filters from "./Filters.js"

const iso = (millis: number) => new Date(millis).toISOString()

const viewFilter = (filter: RunFilter): BulkFilterView => {
  const { blocked, createdAfter, createdBefore, labels = {}, parent, roots, runId } = filter
  const { attributes = {}, tags = [] } = labels
  return {
    ...(runId === undefined ? {} : { runId }),
    ...(filter.workflow === undefined ? {} : { workflow: filter.workflow }),
    ...(filter.status === undefined ? {} : { status: filter.status }),
    ...(createdAfter === undefined ? {} : { createdAfter: iso(createdAfter) }),
    ...(createdBefore === undefined ? {} : { createdBefore: iso(createdBefore) }),
    ...(roots === true ? { roots } : {}),
    ...(parent === undefined ? {} : { parent }),
    ...(blocked === true ? { mend: true } : {}),
    ...(tags.length === 0 ? {} : { tags }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes })
  }
}

const view = (operation: BulkOperation): BulkView => {
  const { action, completedAt, done, executor, filter, id, matched, refused, state } = operation
  return {
    id,
    action,
    filter: viewFilter(filter),
    state,
    matched,
    done,
    refused,
    requestedAt: iso(operation.requestedAt),
    ...(completedAt === undefined ? {} : { completedAt: iso(completedAt) }),
    ...(executor === undefined ? {} : { executor })
  }
}

const emptyFilter = ({ action }: BulkRequest) =>
  new EmptyFilter({
    filters: Filters.names,
    message: `Which runs to ${action} is not said: give one or more of ${Filters.names.join(", ")}; or say all, and all runs are meant`
  })

/** What it comes to, or why it cannot be asked for. */
const checked = Effect.fnUntraced(function* (request: BulkRequest) {
  const given = request.filter ?? {}
  if (given.status?.length === 0 || given.tags?.length === 0) {
    return yield* new InvalidQuery({
      message: `${given.status?.length === 0 ? "status" : "tags"} is an empty list, which would leave out no run: give one at least, or leave it out`
    })
  }
  const filter = Filters.said(yield* Filters.ofRequest(given))
  if (Filters.isEmpty(filter) && request.all !== true) return yield* emptyFilter(request)
  const { length = 0 } = request.reason ?? ""
  if (length > maxReasonLength) {
    return yield* new InvalidReason({
      message: `The reason has ${length} characters; at most ${maxReasonLength} are allowed`
    })
  }
  return filter
})

const total = (counts: Readonly<Record<RunStatus, number>>) =>
  Object.values(counts).reduce((sum, runs) => sum + runs, 0)

export const make = (store: RunStore["Type"]) => {
  const matching = (filter: RunFilter) =>
    Effect.map(Filters.isEmpty(filter) ? store.counts : store.countBy(filter), total)

  const orNotFound = (
    id: number,
    found: Effect.Effect<Option.Option<BulkOperation>, RunStoreError>
  ): Effect.Effect<BulkView, BulkNotFound | RunStoreError> =>
    Effect.flatMap(
      found,
      Option.match({
        onNone: () =>
          Effect.fail(
            new BulkNotFound({
              id,
              message: `There is no operation ${id}, or it was over for 7 days`
            })
          ),
        onSome: (operation) => Effect.succeed(view(operation))
      })
    )

  return {
    previewBulk: (request: BulkRequest) =>
      Effect.map(Effect.flatMap(checked(request), matching), (matched) => ({ matched })),

    bulk: Effect.fnUntraced(function* (request: BulkRequest) {
      const filter = yield* checked(request)
      const { action, children, reason, withChildren } = request
      const matched = yield* matching(filter)
      const { id } = yield* store.createBulk({
        action,
        filter,
        options: { reason, children, withChildren },
        matched
      })
      yield* Effect.logInfo("an operation on many runs was asked for").pipe(
        Effect.annotateLogs({ id, action, matched, filter: JSON.stringify(filter) })
      )
      return { id, matched }
    }),

    bulkOperation: (id: number) => orNotFound(id, store.findBulk(id)),
    bulkOperations: Effect.map(store.bulks, (operations) => operations.map(view)),
    cancelBulk: (id: number) => orNotFound(id, store.cancelBulk(id))
  }
}
