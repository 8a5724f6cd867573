/** `workflow-executor schedules ...`: what each answers. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type {
  BackfillRequest,
  ListSchedulesRequest,
  PutScheduleRequest,
  ScheduleView
} from "../runner/Schedules.js"
import { UsageError } from "./Failures.js"
import * as Output from "./Output.js"
import { type Options, on, parsePayload } from "./RunsCommands.js"
import * as Table from "./Table.js"
import type { SchedulesTarget, TargetError } from "./Target.js"

const times = ({ cron, every, timeZone }: ScheduleView) =>
  cron === undefined
    ? every === undefined
      ? undefined
      : `every ${every}`
    : `${cron}${timeZone === undefined ? "" : ` ${timeZone}`}`

const lastRun = ({ lastRuns: [last] }: ScheduleView) => last?.status

export const list = (options: Options, request: ListSchedulesRequest) =>
  on(options)((target) =>
    Effect.gen(function* () {
      const page = yield* target.schedules.list(request)
      if (options.json) return yield* Output.json(page)
      yield* Output.table(
        ["SCHEDULE", "WORKFLOW", "TIMES", "STATE", "NEXT", "LAST", "RUN"],
        page.schedules.map((schedule) => [
          schedule.name,
          schedule.workflow,
          times(schedule),
          schedule.paused ? "paused" : schedule.nextTicks.length > 0 ? "on" : "over",
          Table.time(schedule.nextTicks[0]),
          Table.time(schedule.lastStarted),
          lastRun(schedule)
        ])
      )
      if (page.nextCursor !== null) {
        yield* Output.aside(`There are more: --cursor ${page.nextCursor}`)
      }
    })
  )

const fieldsOf = (schedule: ScheduleView): ReadonlyArray<readonly [string, string | undefined]> => [
  ["schedule", schedule.name],
  ["workflow", schedule.workflow],
  ["payload", JSON.stringify(schedule.payload)],
  ["times", times(schedule)],
  ["overlap", schedule.overlap],
  ["catch-up", schedule.catchUp],
  ["jitter", schedule.jitter],
  ["end", schedule.end],
  ["count", schedule.count === undefined ? undefined : String(schedule.count)],
  ["paused", schedule.paused ? "yes" : undefined],
  ["origin", schedule.origin === "declared" ? "declared in code" : "set by the API"],
  ["problem", schedule.problem],
  ["started", `${schedule.started}`],
  ["next", schedule.nextTicks.map((tick) => Table.time(tick)).join(", ") || undefined],
  ["waiting", Table.time(schedule.waitingTick)],
  ["last", Table.time(schedule.lastStarted)],
  ["skipped", Table.time(schedule.lastSkipped)],
  ["missed", Table.time(schedule.lastMissed)]
]

const tell = (options: Options, schedule: ScheduleView): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (options.json) return yield* Output.json(schedule)
    for (const [name, value] of fieldsOf(schedule)) {
      if (value !== undefined) yield* Output.line(`${name.padEnd(8)}  ${Table.plain(value)}`)
    }
    if (schedule.lastRuns.length === 0) return
    yield* Output.line("")
    yield* Output.table(
      ["RUN", "STATUS", "CREATED", "COMPLETED"],
      schedule.lastRuns.map(({ completedAt, createdAt, runId, status }) => [
        runId,
        status,
        Table.time(createdAt),
        Table.time(completedAt)
      ])
    )
  })

export const show = (options: Options, name: string) =>
  on(options)((target) =>
    Effect.flatMap(target.schedules.get(name), (schedule) => tell(options, schedule))
  )

export interface Put {
  readonly schedule: string
  readonly workflow: string
  readonly payload: Option.Option<string>
  readonly cron: Option.Option<string>
  readonly every: Option.Option<string>
  readonly timeZone: Option.Option<string>
  readonly overlap: Option.Option<NonNullable<PutScheduleRequest["overlap"]>>
  readonly catchUp: Option.Option<string>
  readonly jitter: Option.Option<string>
  readonly end: Option.Option<Date>
  readonly count: Option.Option<number>
  /** `false`: as it is. */
  readonly paused: boolean
}

/** Without what is not said. */
const said = <Key extends string, A>(key: Key, value: Option.Option<A>): { [K in Key]?: A } =>
  Option.match(value, {
    onNone: () => ({}),
    // a computed key is of the type of all texts
    onSome: (value) => ({ [key]: value }) as { [K in Key]: A }
  })

export const put = (options: Options, asked: Put) =>
  Effect.gen(function* () {
    if (Option.isNone(asked.cron) === Option.isNone(asked.every)) {
      return yield* new UsageError({
        message: `A schedule has either --cron, such as "0 3 * * *", or --every, such as "5 minutes"`
      })
    }
    const request = {
      workflow: asked.workflow,
      payload: yield* parsePayload(asked.payload),
      ...said("cron", asked.cron),
      ...said("every", asked.every),
      ...said("timeZone", asked.timeZone),
      ...said("overlap", asked.overlap),
      ...said("catchUp", asked.catchUp),
      ...said("jitter", asked.jitter),
      ...said(
        "end",
        Option.map(asked.end, (end) => end.toISOString())
      ),
      ...said("count", asked.count),
      ...(asked.paused ? { paused: true } : {})
    }
    yield* on(options)((target) =>
      Effect.flatMap(target.schedules.put(asked.schedule, request), (schedule) =>
        tell(options, schedule)
      )
    )
  })

/** Does it with a schedule, and says so. */
const doing = <A>(
  options: Options,
  name: string,
  act: (schedules: SchedulesTarget) => Effect.Effect<A, TargetError>,
  answer: { readonly json: (done: A) => unknown; readonly said: (done: A) => string }
) =>
  on(options)((target) =>
    Effect.flatMap(act(target.schedules), (done) =>
      options.json ? Output.json(answer.json(done)) : Output.line(answer.said(done))
    )
  ).pipe(Effect.annotateLogs({ schedule: name }))

export const remove = (options: Options, name: string) =>
  doing(options, name, ({ remove }) => remove(name), {
    json: () => ({ name }),
    said: () => `${name}: deleted`
  })

export const pause = (options: Options, name: string) =>
  doing(options, name, ({ pause }) => pause(name), {
    json: (schedule) => schedule,
    said: () => `${name}: paused`
  })

export const resume = (options: Options, name: string) =>
  doing(options, name, ({ resume }) => resume(name), {
    json: (schedule) => schedule,
    said: ({ nextTicks }) =>
      `${name}: resumed${nextTicks[0] === undefined ? "" : `; next at ${Table.time(nextTicks[0])}`}`
  })

export const trigger = (options: Options, name: string) =>
  doing(options, name, ({ trigger }) => trigger(name), {
    json: (started) => started,
    said: ({ runId }) => runId
  })

export const backfill = (
  options: Options,
  name: string,
  { from, to }: { readonly from: string; readonly to: string | undefined }
) => {
  const request: BackfillRequest = { from, ...(to === undefined ? {} : { to }) }
  return doing(options, name, ({ backfill }) => backfill(name, request), {
    json: (done) => done,
    said: ({ created, ticks }) =>
      `${name}: ${created} ${created === 1 ? "run" : "runs"} created, of ${ticks} ${ticks === 1 ? "tick" : "ticks"}`
  })
}
