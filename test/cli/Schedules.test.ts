/** `workflow-executor schedules`, as processes: on the API of an executor, and on its file. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ScheduleView } from "../../src/api/Schedules.js"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"
import { command, decode } from "./support.js"

const PageJson = Schema.Struct({ schedules: Schema.Array(ScheduleView) })

const payload = '{ "id": "1", "steps": 1, "millis": 0 }'

describe("schedules", () => {
  it.scopedLive(
    "are put, shown, changed and deleted",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const env = { AUTH_SECRET: Process.secret }
        const schedules = (...args: ReadonlyArray<string>) =>
          command(["schedules", ...args, "--url", url], { env })
        const put = (...args: ReadonlyArray<string>) => schedules("put", ...args)

        const nightly = yield* put(
          ...["nightly", "Work", payload, "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin"],
          ...["--overlap", "queue", "--paused", "--json"]
        )
        expect(nightly).toMatchObject({ code: 0, err: "" })
        expect(decode(ScheduleView, nightly.out)).toMatchObject({
          name: "nightly",
          payload: { id: "1", steps: 1, millis: 0 },
          cron: "0 3 * * *",
          timeZone: "Europe/Berlin",
          overlap: "queue",
          paused: true,
          nextTicks: []
        })
        // what is paused stays so, and all else is as it is said now
        const again = yield* put("nightly", "Work", payload, "--cron", "0 4 * * *")
        expect(again.out).toMatch(/^times +0 4 \* \* \*$/m)
        expect(again.out).toMatch(/^paused +yes$/m)
        expect(again.out).not.toMatch(/overlap/)
        expect((yield* schedules("resume", "nightly")).out).toMatch(
          /^nightly: resumed; next at \d{4}-\d\d-\d\d 04:00:00\n$/
        )
        const triggered = yield* schedules("trigger", "nightly")
        expect(triggered.out).toMatch(/^schedule\/nightly\/.+\/triggered\n$/)
        expect((yield* schedules("show", "nightly")).out).toContain(triggered.out.trim())
        expect(
          yield* schedules("backfill", "nightly", "--from", "2026-03-01", "--to", "2026-03-03")
        ).toMatchObject({ code: 0, out: "nightly: 2 runs created, of 2 ticks\n" })
        expect((yield* schedules("list")).out).toMatch(
          /^nightly +Work +0 4 \* \* \* +on +\d{4}-\d\d-\d\d 04:00:00 /m
        )

        // on the file itself, beside the executor
        const onFile = (...args: ReadonlyArray<string>) =>
          command(["schedules", ...args, "--database", fixture.env.DATABASE_FILE])
        expect(yield* onFile("pause", "nightly")).toMatchObject({ out: "nightly: paused\n" })
        const listed = decode(PageJson, (yield* onFile("list", "--json")).out)
        expect(listed.schedules.map(({ name, paused }) => [name, paused])).toEqual([
          ["nightly", true]
        ])
        const refused = yield* onFile("put", "b", "Work", payload, "--every", "1 hour")
        expect(refused.code).toBe(1)
        expect(refused.err).toContain("cannot be put on the database")

        expect(yield* schedules("delete", "nightly")).toMatchObject({
          code: 0,
          out: "nightly: deleted\n"
        })
        expect(yield* schedules("show", "nightly")).toMatchObject({
          code: 4,
          err: 'There is no schedule "nightly"\n'
        })
      }),
    120_000
  )

  it.scopedLive(
    "that cannot be are refused, with what could",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const executor = yield* fixture.start()
        const url = yield* executor.url
        const put = (...args: ReadonlyArray<string>) =>
          command(["schedules", "put", "a", "Work", payload, ...args, "--url", url], {
            env: { AUTH_SECRET: Process.secret }
          })
        const none = yield* put()
        expect([none.code, none.err]).toEqual([
          2,
          'A schedule has either --cron, such as "0 3 * * *", or --every, such as "5 minutes"\n'
        ])
        const cron = yield* put("--cron", "61 * * * *")
        expect(cron.code).toBe(1)
        expect(cron.err).toContain('cron: "61 * * * *" is not allowed')
        const overlap = yield* put("--every", "1 hour", "--overlap", "never")
        expect([overlap.code, overlap.err]).toEqual([
          2,
          '--overlap is "never"; expected one of skip, queue, allow, cancel\n'
        ])
      }),
    60_000
  )
})
