/**
 * The polls for other processes are far apart here: TestClock stops at each one, and a lease spans
 * hundreds.
 */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Events from "../../src/events/Events.js"
import { RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { suite } from "../../src/testing/StoreSuite.js"
import { temporaryFolder } from "./files.js"

suite("in memory", SqliteRunStore.layerMemory)

suite("in memory, and observed", Layer.provide(Events.layer, SqliteRunStore.layerMemory))

/** Another store on the same file each time. */
const fileIn = (folder: string) =>
  SqliteRunStore.layerFile({ filename: `${folder}/a folder/executor.db`, pollInterval: "1 hour" })

const openIn = (folder: string) =>
  Effect.map(Layer.build(Layer.fresh(fileIn(folder))), (context) => Context.get(context, RunStore))

suite(
  "in a file",
  Layer.unwrapScoped(Effect.map(temporaryFolder, fileIn)),
  Effect.flatMap(temporaryFolder, (folder) => Effect.all([openIn(folder), openIn(folder)]))
)

suite(
  "on a client that the app brings, with names of its own",
  SqliteRunStore.layerWith({ pollInterval: "1 hour" }).pipe(
    Layer.provide(
      Layer.unwrapScoped(
        Effect.map(temporaryFolder, (folder) =>
          Layer.orDie(
            SqliteClient.layer({
              filename: `${folder}/app.db`,
              transformQueryNames: (name) => name.toLowerCase(),
              transformResultNames: (name) => name.toUpperCase()
            })
          )
        )
      )
    )
  )
)
