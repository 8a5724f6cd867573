/**
 * The polls for other processes are far apart here: TestClock stops at each one, and a lease spans
 * hundreds.
 */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Events from "../../src/events/Events.js"
import * as SqlRunStore from "../../src/store/sqlite/SqlRunStore.js"
import { suite } from "./conformance.js"
import { temporaryFolder } from "./files.js"

suite("in memory", SqlRunStore.layerMemory)

suite("in memory, and observed", Layer.provide(Events.layer, SqlRunStore.layerMemory))

suite(
  "in a file",
  Layer.unwrapScoped(
    Effect.map(temporaryFolder, (folder) =>
      SqlRunStore.layerFile({ filename: `${folder}/a folder/executor.db`, pollInterval: "1 hour" })
    )
  )
)

suite(
  "on a client that the app brings, with names of its own",
  SqlRunStore.layerWith({ pollInterval: "1 hour" }).pipe(
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
