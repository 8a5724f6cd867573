/** What is told of runs: one with its steps, one value of it, a page of many. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type BulkFilter,
  type GetOptions,
  InvalidCursor,
  InvalidQuery,
  type ListRequest,
  maxPageSize,
  minPrefix,
  type StepRequest,
  type StepsRequest
} from "../../api/Runs.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import {
  isFinal,
  type Run,
  type RunStatus,
  type RunStore,
  type RunWithSteps,
  type StepCursor
} from "../../store/RunStore.js"
import * as EncodedCause from "../../values/EncodedCause.js"
import * as Cursors from "../Cursors.js"
import { runNotFound, stepNotFound } from "../Refusals.js"
import {
  type InFlightHere,
  overlay,
  viewAbout,
  viewFailure,
  viewHolder,
  viewOutcome,
  viewPayload,
  viewRun,
  viewStep,
  viewWaits
} from "../RunViews.js"
import * as Filters from "./Filters.js"

/** What is told of many runs at once: in bytes, so that a page fits wherever an executor does. */
const listBounds = { maxBytes: 4 * 1024 * 1024, maxValueBytes: 64 * 1024 }

/** The same of one run and its steps: its payload and what it came to are there besides. */
const stepBounds = { limit: 1_000, maxBytes: 2 * 1024 * 1024, maxValueBytes: 1024 * 1024 }

/** So many of those that begin so are told. */
const maxIds = 10

const decodeCursor = <A>(
  decode: (cursor: string) => A | undefined,
  cursor: string | undefined
): Effect.Effect<A | undefined, InvalidCursor> => {
  const decoded = cursor === undefined ? undefined : decode(cursor)
  return cursor !== undefined && decoded === undefined
    ? new InvalidCursor({ message: "The cursor is not one that this API gave" })
    : Effect.succeed(decoded)
}

export const make = (store: RunStore["Type"], dispatcher: Dispatcher["Type"]) => {
  /** The steps of a page as they are told, with those in flight here. */
  const viewSteps = (
    { cursor, steps }: Pick<RunWithSteps, "cursor" | "steps">,
    inFlight: InFlightHere,
    after?: StepCursor
  ) => overlay(steps, inFlight, { after, upTo: cursor }).map(viewStep)

  /** Those of the run that have no outcome yet. Asked before the store, which then may have it. */
  const inFlightOf = (runId: string) =>
    Effect.map(dispatcher.inFlight, (all) => {
      const steps = all.filter((step) => step.runId === runId)
      const executor = dispatcher.executor()
      return (status: RunStatus): InFlightHere => ({
        executor,
        steps: isFinal(status) ? [] : steps
      })
    })

  /** The step whose failure the run ended with; it may be on a later page. */
  const failedStep = ({ cursor, run, steps }: RunWithSteps) => {
    const text = EncodedCause.tellingText(run.exit)
    if (text === undefined) return Effect.succeed(undefined)
    const isWhole = cursor === undefined && steps.every(({ leftOut }) => leftOut === undefined)
    return isWhole
      ? Effect.succeed(EncodedCause.failedWith(text, steps))
      : Effect.map(store.stepFailedWith({ runId: run.runId, text }), Option.getOrUndefined)
  }

  /** Asked for a run that could begin, or go on, and does not. */
  const isPaused = ({ queued, startedAt, status, workflow }: Run) =>
    status !== "pending" || queued === true
      ? Effect.succeed(false)
      : Effect.map(store.pausedWorkflows, (paused) =>
          paused.some((one) => one.workflow === workflow && (one.parks || startedAt === undefined))
        )

  const get = Effect.fnUntraced(function* (runId: string, options: GetOptions = {}) {
    const inFlight = yield* inFlightOf(runId)
    const found = yield* store.findWithSteps(runId, stepBounds)
    if (Option.isNone(found)) return yield* runNotFound(runId)
    const { cursor, run } = found.value
    const registered = yield* dispatcher.workflows
    return {
      ...viewRun(run),
      ...viewFailure(run, yield* failedStep(found.value), { stacks: options.stacks === true }),
      ...viewWaits(run, {
        isPaused: yield* isPaused(run),
        isRegistered: registered.some(({ name }) => name === run.workflow)
      }),
      ...viewHolder(run, dispatcher.executor()),
      ...viewAbout(found.value),
      steps: viewSteps(found.value, inFlight(run.status)),
      ...(cursor === undefined ? {} : { stepsCursor: Cursors.ofSteps(cursor) })
    }
  })

  const steps = Effect.fnUntraced(function* (request: StepsRequest) {
    const { cursor, runId, values = true } = request
    const after = yield* decodeCursor(Cursors.toSteps, cursor)
    const inFlight = yield* inFlightOf(runId)
    const bounds = values ? stepBounds : { ...stepBounds, maxValueBytes: 0 }
    const found = yield* store.steps(runId, { ...bounds, after })
    if (Option.isNone(found)) return yield* runNotFound(runId)
    const page = found.value
    return {
      steps: viewSteps(page, inFlight(page.status), after),
      nextCursor: page.cursor === undefined ? null : Cursors.ofSteps(page.cursor)
    }
  })

  const findRun = (runId: string) =>
    Effect.flatMap(
      store.find(runId),
      Option.match({ onNone: () => runNotFound(runId), onSome: Effect.succeed })
    )

  const step = Effect.fnUntraced(function* (request: StepRequest) {
    const { attempt, name, runId } = request
    const inFlight = yield* inFlightOf(runId)
    const found = yield* store.step(request)
    const { status } = yield* findRun(runId)
    const { executor, steps } = inFlight(status)
    const here = steps.filter((one) => one.name === name && one.attempt === attempt)
    const [told] = overlay(Option.toArray(found), { executor, steps: here })
    return told === undefined ? yield* stepNotFound(request) : viewStep(told)
  })

  const payload = (runId: string) =>
    // `find` leaves nothing out
    Effect.map(findRun(runId), ({ payload = "" }) => ({ runId, payload: viewPayload(payload) }))

  const outcome = (runId: string, options: GetOptions = {}) =>
    Effect.map(findRun(runId), (run) => viewOutcome(run, { stacks: options.stacks === true }))

  const ids = Effect.fnUntraced(function* (prefix: string) {
    if (prefix.length < minPrefix) {
      return yield* new InvalidQuery({
        message: `The beginning of an id has ${minPrefix} characters at least, and ${JSON.stringify(prefix)} has ${prefix.length}`
      })
    }
    const runs = yield* store.beginningWith({ prefix, limit: maxIds + 1 })
    return { runs: runs.slice(0, maxIds), more: runs.length > maxIds }
  })

  const list = Effect.fnUntraced(function* (request: ListRequest = {}) {
    const cursor = yield* decodeCursor(Cursors.toRuns, request.cursor)
    const page = yield* store.list({
      ...(yield* Filters.ofRequest(request)),
      limit: Math.min(Math.max(Math.trunc(request.limit ?? 50), 1), maxPageSize),
      payload: request.include?.includes("payload") ?? false,
      result: request.include?.includes("result") ?? false,
      ...listBounds,
      cursor
    })
    return {
      runs: page.runs.map(viewRun),
      nextCursor: page.cursor === undefined ? null : Cursors.ofRuns(page.cursor)
    }
  })

  const countBy = (request: BulkFilter = {}) =>
    Effect.flatMap(Filters.ofRequest(request), (filter) =>
      Filters.isEmpty(filter) ? store.counts : store.countBy(filter)
    )

  return { get, steps, step, payload, outcome, ids, list, countBy }
}
