/**
 * The commands for runs straight on the database, beside executors or without any.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Dispatcher from "../engine/held/Dispatcher.js"
import * as RunnerConfig from "../engine/RunnerConfig.js"
import * as Runs from "../runner/Runs.js"
import * as Schedules from "../runner/Schedules.js"
import type * as Settings from "../Settings.js"
import type { RunStore, RunStoreError } from "../store/RunStore.js"
import { isFinal } from "../store/RunStore.js"
import * as SqliteRunStore from "../store/sqlite/SqliteRunStore.js"
import * as Database from "./Database.js"
import * as DatabaseFile from "./DatabaseFile.js"
import { NotOnFile, Target } from "./Target.js"

/** The store of a file that is there, or of PostgreSQL, with our schema. */
export const layerStore = (database: Settings.Database): Layer.Layer<RunStore, RunStoreError> =>
  database._tag === "Postgres"
    ? Database.layerPostgres(database)
    : Layer.unwrapEffect(
        Effect.as(
          DatabaseFile.assertOurs(database.file),
          SqliteRunStore.layerFile({ filename: database.file, pollInterval: Duration.infinity })
        )
      )

const lookEvery = Duration.millis(500)

/** Runs as an executor without workflows has them: it executes nothing, and knows no schemas. */
export const layer = (database: Settings.Database) =>
  Layer.effect(
    Target,
    Effect.map(Effect.all([Runs.Runs, Schedules.Schedules]), ([runs, schedules]) =>
      Target.of({
        ...runs,
        // who may read the database may see all that is in it
        get: (runId) => runs.get(runId, { stacks: true }),
        outcome: (runId) => runs.outcome(runId, { stacks: true }),
        // it is looked at, for as long as it takes
        watch: (runId) =>
          Stream.repeatEffectWithSchedule(runs.get(runId), Schedule.spaced(lookEvery)).pipe(
            Stream.takeUntil(({ status }) => isFinal(status))
          ),
        start: (workflow) =>
          new NotOnFile({
            message: `A run of ${workflow} cannot be started on the database: its id and its checks are in the workflow's code, so ask a running executor (--url)`
          }),
        schedules: {
          ...schedules,
          put: (_, { workflow }) =>
            new NotOnFile({
              message: `A schedule of ${workflow} cannot be put on the database: the checks of its payload are in the workflow's code, so ask a running executor (--url)`
            })
        }
      })
    )
  ).pipe(
    Layer.provide(Layer.merge(Runs.layer, Schedules.layerService)),
    Layer.provide(Dispatcher.layer),
    Layer.provide(layerStore(database)),
    Layer.provide(RunnerConfig.layer({}))
  )
