/** What is asked of schedules: to be another, to stop and go on, to start something beside its ticks. */
import type { Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import {
  type BackfillRequest,
  maxBackfill,
  type PutScheduleRequest,
  type ScheduleDefinition,
  scheduleName
} from "../../api/Schedules.js"
import type { Dispatcher } from "../../engine/held/Dispatcher.js"
import * as Time from "../../internal/Time.js"
import type {
  CreatedRun,
  FoundSchedule,
  Json,
  Millis,
  RunStore,
  RunStoreError,
  ScheduleOrigin,
  StoredSchedule
} from "../../store/RunStore.js"
import * as Ids from "../../store/ScheduleIds.js"
import * as Definitions from "../runs/Definitions.js"
import * as Payloads from "../runs/Payloads.js"
import { nextAt } from "./Decide.js"
import * as Plan from "./Plan.js"
import { queueOf } from "./Queue.js"
import { defined, finding, viewing } from "./Read.js"
import { invalidName, invalidRange, scheduleNotFound, tooManyTicks } from "./Refusals.js"
import * as Ticks from "./Ticks.js"

/** What a schedule is to be, read and found possible. */
interface Asked {
  readonly name: string
  readonly workflow: string
  readonly payload: Json
  readonly definition: Json
  readonly plan: Plan.Plan
  readonly origin: ScheduleOrigin
  /** `undefined`: as it is; a new one is not. */
  readonly paused: boolean | undefined
}

const now = Effect.map(Clock.currentTimeMillis, Math.floor)

/** When it ticks: as long as that is the same it goes on from where it was. */
const timesOf = (definition: Json) =>
  Either.match(Plan.decode(definition), {
    onLeft: () => definition,
    onRight: ({ cron, every, timeZone }) => JSON.stringify([cron, every, timeZone])
  })

const isAs = (schedule: StoredSchedule, asked: Asked, paused: boolean) =>
  schedule.workflow === asked.workflow &&
  schedule.payload === asked.payload &&
  schedule.definition === asked.definition &&
  schedule.origin === asked.origin &&
  schedule.paused === paused

/** Its end has come, or it has started as many as it was to: of what has passed since it has no part. */
const isOver = ({ nextAt, paused, waitingTick }: StoredSchedule) =>
  !paused && nextAt === undefined && waitingTick === undefined

const scheduleOf = (
  { definition, name, origin, paused: askedPaused, payload, plan, workflow }: Asked,
  before: StoredSchedule | undefined,
  at: Millis
): StoredSchedule => {
  const paused = askedPaused ?? before?.paused ?? false
  const goesOn =
    before !== undefined &&
    !isOver(before) &&
    timesOf(before.definition) === timesOf(definition) &&
    (paused || !before.paused)
  const schedule = {
    name,
    workflow,
    payload,
    definition,
    origin,
    paused,
    createdAt: before?.createdAt ?? at,
    changedAt: at,
    // never back, whatever the clock does: what was started is not started again
    decidedTo: goesOn ? before.decidedTo : Math.max(at, before?.decidedTo ?? at),
    waitingTick: goesOn ? before.waitingTick : undefined,
    started: before?.started ?? 0,
    lastStarted: before?.lastStarted,
    lastSkipped: before?.lastSkipped,
    lastMissed: before?.lastMissed
  }
  return { ...schedule, nextAt: nextAt(plan, schedule) }
}

export const make = (store: RunStore["Type"], dispatcher: Dispatcher["Type"]) => {
  const viewed = viewing(store)
  const find = finding(store)

  const read = (name: string, definition: ScheduleDefinition) =>
    Effect.gen(function* () {
      if (!scheduleName.test(name)) return yield* invalidName(name)
      const said = defined(definition)
      return { plan: yield* Plan.read(name, said), definition: Plan.encode(said) }
    })

  /** Once more where it was changed meanwhile. */
  const write = (asked: Asked): Effect.Effect<StoredSchedule, RunStoreError> =>
    Effect.gen(function* () {
      const found = Option.getOrUndefined(yield* store.findSchedule(asked.name))
      const schedule = scheduleOf(asked, found?.schedule, yield* now)
      if (found !== undefined) {
        if (isAs(found.schedule, asked, schedule.paused)) return found.schedule
        // what somebody has put is not the code's to change
        if (asked.origin === "declared" && found.schedule.origin === "set") return found.schedule
      }
      const written = yield* store.changeSchedule({
        schedule,
        version: found?.version,
        starts: [],
        interrupts: []
      })
      return Option.isSome(written) ? schedule : yield* write(asked)
    })

  const put = Effect.fnUntraced(function* (name: string, request: PutScheduleRequest) {
    const { paused, payload: given, workflow: workflowName, ...definition } = request
    const asked = yield* read(name, definition)
    const workflow = yield* Definitions.findWorkflow(dispatcher, workflowName)
    const { payload } = yield* Payloads.make(dispatcher)(workflow, given)
    const origin = "set" as const
    return yield* Effect.flatMap(
      write({ ...asked, name, workflow: workflow.name, payload, origin, paused }),
      viewed
    )
  })

  const declare = Effect.fnUntraced(function* (
    name: string,
    workflow: Workflow.Any,
    given: object,
    definition: ScheduleDefinition,
    paused: boolean
  ) {
    const asked = yield* read(name, definition)
    const payload = yield* Payloads.encoded(dispatcher, workflow, given)
    const there = Option.getOrUndefined(yield* store.findSchedule(name))
    yield* write({
      ...asked,
      name,
      workflow: workflow.name,
      payload,
      origin: "declared",
      paused: there === undefined ? paused : undefined
    })
  })

  const queueIn = (schedule: StoredSchedule) =>
    Effect.flatMap(dispatcher.workflows, (workflows) => queueOf(workflows, schedule))

  /** Writes what becomes of it, once more where it was changed meanwhile. */
  const update = <A>(
    name: string,
    make: (
      found: FoundSchedule,
      at: Millis
    ) => { readonly schedule: StoredSchedule; readonly starts: ReadonlyArray<string>; answer: A }
  ): Effect.Effect<
    {
      readonly answer: A
      readonly schedule: StoredSchedule
      readonly started: ReadonlyArray<CreatedRun>
    },
    RunStoreError | ReturnType<typeof scheduleNotFound>
  > =>
    Effect.gen(function* () {
      const found = yield* find(name)
      const { answer, schedule, starts } = make(found, yield* now)
      const written = yield* store.changeSchedule({
        schedule,
        version: found.version,
        queue: starts.length === 0 ? undefined : yield* queueIn(schedule),
        starts: starts.map((runId) => ({ runId })),
        interrupts: []
      })
      return Option.isNone(written)
        ? yield* update(name, make)
        : { answer, schedule, started: written.value }
    })

  const setPaused = (name: string, paused: boolean) =>
    Effect.flatMap(
      update(name, ({ schedule }, at) => {
        if (schedule.paused === paused) return { schedule, starts: [], answer: undefined }
        const decidedTo = paused ? schedule.decidedTo : Math.max(at, schedule.decidedTo)
        const changed = { ...schedule, paused, decidedTo, changedAt: at }
        const next = Either.match(Plan.ofStored(schedule), {
          onLeft: () => undefined,
          onRight: (plan) => nextAt(plan, changed)
        })
        return { schedule: { ...changed, nextAt: next }, starts: [], answer: undefined }
      }),
      ({ schedule }) => viewed(schedule)
    )

  const trigger = (name: string) => {
    const from = (
      later: number
    ): Effect.Effect<
      { readonly runId: string },
      RunStoreError | ReturnType<typeof scheduleNotFound>
    > =>
      Effect.gen(function* () {
        const { answer, started } = yield* update(name, ({ schedule }, at) => {
          const runId = Ids.ofTrigger(name, at + later)
          return { schedule, starts: [runId], answer: runId }
        })
        const [
          {
            created,
            run: { runId }
          } = { created: true, run: { runId: answer } }
        ] = started
        // somebody else has triggered it in this millisecond
        if (!created && runId === answer) return yield* from(later + 1)
        // its queue may have let in none but the one that is there
        return { runId }
      })
    return from(0)
  }

  const backfill = Effect.fnUntraced(function* (name: string, request: BackfillRequest) {
    const at = yield* now
    const from = yield* timeOf("from", request.from)
    const to = request.to === undefined ? at : yield* timeOf("to", request.to)
    if (to > at) {
      return yield* invalidRange(
        "to",
        `${JSON.stringify(request.to)} is later than now, which is ${new Date(at).toISOString()}`
      )
    }
    if (from >= to)
      return yield* invalidRange("from", "the range is empty: it is not before its end")
    const { schedule } = yield* find(name)
    const plan = yield* Plan.ofStored(schedule)
    const ticks = Ticks.first(plan.ticks, from - 1, maxBackfill + 1, to - 1)
    if (ticks.length > maxBackfill) return yield* tooManyTicks()
    const { payload, workflow } = schedule
    const queue = yield* queueIn(schedule)
    const created = yield* Effect.forEach(
      ticks,
      (tick) =>
        dispatcher.start({ runId: Ids.ofTick(name, tick), workflow, payload, queue }).pipe(
          Effect.map(({ created }) => created),
          // it was of another workflow then
          Effect.catchTag("RunIdTaken", () => Effect.succeed(false))
        ),
      // what is ready together is committed together, in this order
      { concurrency: 100 }
    )
    return { ticks: ticks.length, created: created.filter(Boolean).length }
  })

  return {
    put,
    declare,
    remove: (name: string) =>
      Effect.flatMap(store.removeSchedule(name), (removed) =>
        removed ? Effect.void : scheduleNotFound(name)
      ),
    pause: (name: string) => setPaused(name, true),
    resume: (name: string) => setPaused(name, false),
    trigger,
    backfill
  }
}

const timeOf = (field: string, text: string) => {
  const time = Time.parse(text)?.getTime()
  return time === undefined ? invalidRange(field, Time.describe(text)) : Effect.succeed(time)
}
