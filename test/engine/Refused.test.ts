/**
 * A write that can never be done is not tried for ever: its run is set aside, with the reason, and
 * the others go on. A trigger in the file stands for whatever SQLite refuses.
 */

import { assert, describe, it } from "@effect/vitest"
import { DurableClock, Workflow } from "@effect/workflow"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Runs from "../../src/runner/Runs.js"
import {
  exitOf,
  layerFile,
  register,
  step,
  temporaryFile,
  until,
  untilSuspended
} from "./support.js"

const W = Workflow.make({
  name: "W",
  payload: { id: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

/** What is refused, by what makes SQLite refuse it. */
const refusals = {
  "the outcome of a step": "BEFORE INSERT ON workflow_steps WHEN new.name = 'cursed'",
  "a timer": "BEFORE INSERT ON workflow_timers WHEN new.name LIKE '%cursed%'",
  "the suspension of a run":
    "BEFORE UPDATE OF status ON workflow_runs WHEN new.status = 'suspended' AND new.cause IS NULL AND new.payload LIKE '%cursed%'",
  "the end of a run":
    "BEFORE UPDATE OF status ON workflow_runs WHEN new.status = 'completed' AND new.payload LIKE '%cursed%'"
}

const onFile = (filename: string, statement: string) => {
  const database = new Sqlite(filename)
  database.exec(statement)
  database.close()
}

describe("a write that SQLite will never take", () => {
  for (const maxWarmRuns of [0, 100]) {
    for (const [what, when] of Object.entries(refusals)) {
      it.effect(`sets its run aside, with ${maxWarmRuns} warm runs: ${what}`, () =>
        Effect.gen(function* () {
          const filename = yield* temporaryFile
          yield* Effect.gen(function* () {
            const runs = yield* Runs.Runs
            onFile(
              filename,
              `CREATE TRIGGER refuses ${when} BEGIN SELECT RAISE(ABORT, 'it will never do'); END`
            )
            yield* register(
              W.toLayer(({ id }) =>
                step(id, Effect.succeed(id)).pipe(
                  Effect.orDie,
                  Effect.zipLeft(DurableClock.sleep({ name: id, duration: "1 hour" }))
                )
              )
            )
            const cursed = yield* W.execute({ id: "cursed" }, { discard: true })
            const other = yield* W.execute({ id: "other" }, { discard: true })
            yield* untilSuspended(W, other)
            if (what === "the end of a run") yield* untilSuspended(W, cursed)
            yield* TestClock.adjust("1 hour")
            assert.deepStrictEqual(yield* exitOf(W, other), Exit.succeed("other"))
            const reason = Effect.map(runs.get(cursed), ({ error, status }) =>
              status === "suspended" ? JSON.stringify(error ?? null) : ""
            )
            yield* until(
              "set aside",
              Effect.map(reason, (text) => text.includes("never do"))
            )

            onFile(filename, "DROP TRIGGER refuses")
            yield* runs.resume(cursed)
            yield* Effect.forkScoped(
              Effect.forever(Effect.zipRight(TestClock.adjust("1 hour"), Effect.yieldNow()))
            )
            assert.deepStrictEqual(yield* exitOf(W, cursed), Exit.succeed("cursed"))
          }).pipe(
            Effect.scoped,
            Effect.provide(Runs.layer),
            Effect.provide(layerFile(filename, { maxWarmRuns }))
          )
        }).pipe(Effect.scoped)
      )
    }
  }
})
