/**
 * Schedules: workflows that are started at certain times, by a cron or at an interval. Said in code,
 * beside the workflows (`Schedules.layer`), or while an executor runs (`Schedules.put`, the HTTP API,
 * the command). One run a tick, whatever happens and however many executors there are.
 *
 * @example
 * const Nightly = Schedules.layer({
 *   nightly: {
 *     workflow: Report,
 *     payload: { kind: "daily" },
 *     cron: "0 3 * * *",
 *     timeZone: "Europe/Berlin"
 *   }
 * })
 *
 * Executor.layer({ workflows: Layer.merge(ReportLive, Nightly) })
 */
import type { Workflow } from "@effect/workflow"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type { InvalidPayload, UnknownWorkflow } from "../api/Runs.js"
import type {
  Backfilled,
  BackfillRequest,
  InvalidSchedule,
  ListSchedulesRequest,
  PutScheduleRequest,
  ScheduleDefinition,
  ScheduleNotFound,
  SchedulesPage,
  ScheduleView
} from "../api/Schedules.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"
import { RunStore, type RunStoreError } from "../store/RunStore.js"
import * as Ids from "../store/ScheduleIds.js"
import * as Change from "./schedules/Change.js"
import * as Read from "./schedules/Read.js"

export * from "../api/Schedules.js"

export class Schedules extends Context.Tag("effect-workflow-executor/Schedules")<
  Schedules,
  {
    /**
     * Makes a schedule, or one that is there another. It ticks from now on; where its times stay as
     * they are, from where it was. What was put so outlives restarts, and what the code declares.
     * Refused for a workflow that is not registered here, and a payload that is not one of its.
     */
    readonly put: (
      name: string,
      request: PutScheduleRequest
    ) => Effect.Effect<
      ScheduleView,
      UnknownWorkflow | InvalidPayload | InvalidSchedule | RunStoreError
    >

    readonly get: (name: string) => Effect.Effect<ScheduleView, ScheduleNotFound | RunStoreError>

    /** A page of schedules, in the order of their names. */
    readonly list: (request?: ListSchedulesRequest) => Effect.Effect<SchedulesPage, RunStoreError>

    /** Removes it. Its runs stay, and go on. */
    readonly remove: (name: string) => Effect.Effect<void, ScheduleNotFound | RunStoreError>

    /** It does not tick until it is resumed. Its runs go on. */
    readonly pause: (name: string) => Effect.Effect<ScheduleView, ScheduleNotFound | RunStoreError>

    /** It ticks from now on: what was due while it was paused is left out. */
    readonly resume: (name: string) => Effect.Effect<ScheduleView, ScheduleNotFound | RunStoreError>

    /**
     * Starts a run now, also while it is paused or a run is under way. Answers with the run that is there
     * where the workflow's queue lets in no other: `singleton: "skip"`, or a debounce.
     */
    readonly trigger: (
      name: string
    ) => Effect.Effect<{ readonly runId: string }, ScheduleNotFound | RunStoreError>

    /**
     * Starts the runs of the ticks in a range of the past, at most 1,000, all of them at once. Those
     * that have a run already are left as they are.
     */
    readonly backfill: (
      name: string,
      request: BackfillRequest
    ) => Effect.Effect<Backfilled, ScheduleNotFound | InvalidSchedule | RunStoreError>

    /** As `put`, for `layer`: leaves one alone that was put. */
    readonly declare: (
      name: string,
      workflow: Workflow.Any,
      payload: object,
      definition: ScheduleDefinition,
      paused: boolean
    ) => Effect.Effect<void, InvalidPayload | InvalidSchedule | RunStoreError>
  }
>() {}

export const make: Effect.Effect<Schedules["Type"], never, RunStore | Dispatcher> = Effect.gen(
  function* () {
    const store = yield* RunStore
    const dispatcher = yield* Dispatcher
    return { ...Read.make(store), ...Change.make(store, dispatcher) }
  }
)

export const layerService: Layer.Layer<Schedules, never, RunStore | Dispatcher> = Layer.effect(
  Schedules,
  make
)

/** A schedule as the code declares it. */
export interface Declared<W extends Workflow.Any>
  extends Omit<ScheduleDefinition, "every" | "catchUp" | "jitter" | "end"> {
  readonly workflow: W
  /** Of each of its runs. */
  readonly payload: W["payloadSchema"]["Type"]
  /** The time between two ticks, in place of a cron: they are at its multiples since 1970. */
  readonly every?: Duration.DurationInput | undefined
  /** How old a tick may be that is started. Default: the last one, until the next is due. */
  readonly catchUp?: Duration.DurationInput | undefined
  /** How much later than its tick a run starts, at most. Default: 0. */
  readonly jitter?: Duration.DurationInput | undefined
  /** No tick is later than this. */
  readonly end?: Date | string | undefined
  /** Whether it begins paused; later that is the API's to say. Default: false. */
  readonly paused?: boolean | undefined
}

const text = (duration: Duration.DurationInput | undefined) =>
  duration === undefined
    ? undefined
    : typeof duration === "string"
      ? duration
      : `${Duration.toMillis(duration)} millis`

const definitionOf = <W extends Workflow.Any>(declared: Declared<W>): ScheduleDefinition => {
  const { catchUp, count, cron, end, every, jitter, overlap, timeZone } = declared
  return {
    cron,
    every: text(every),
    timeZone,
    overlap,
    catchUp: text(catchUp),
    jitter: text(jitter),
    end: end instanceof Date ? end.toISOString() : end,
    count
  }
}

/**
 * Declares schedules, beside the workflows that they start: by their names. One that was put through
 * the API stays as it was put; one that was declared before becomes what is declared now. One that is
 * declared no more stays until somebody deletes it, for another executor may still declare it.
 *
 * Fails with `InvalidSchedule` for what cannot be one, before anything runs.
 */
export const layer = <Ws extends Record<string, Workflow.Any>>(
  schedules: {
    readonly [Name in keyof Ws]: Declared<Ws[Name]>
  }
): Layer.Layer<never, InvalidPayload | InvalidSchedule | RunStoreError, Schedules> =>
  Layer.effectDiscard(
    Effect.flatMap(Schedules, ({ declare }) =>
      Effect.forEach(
        Object.entries<Declared<Workflow.Any>>(schedules),
        ([name, declared]) =>
          declare(
            name,
            declared.workflow,
            declared.payload,
            definitionOf(declared),
            declared.paused ?? false
          ),
        { discard: true }
      )
    )
  )

/**
 * Within a workflow: which schedule has started its run, and for which time. That is the tick's own
 * time, also where the run started later, or was backfilled; of a run that was triggered it is when.
 * `none` in a run that no schedule has started. The same in every execution of the run.
 */
export const current: Effect.Effect<
  Option.Option<{ readonly schedule: string; readonly tick: Date }>,
  never,
  WorkflowInstance
> = Effect.map(WorkflowInstance, ({ executionId }) => Ids.read(executionId))
