import * as Effect from "effect/Effect"
import { suite } from "../../src/testing/StoreSuite.js"
import * as Postgres from "../support/Postgres.js"

suite(
  "on PostgreSQL",
  Postgres.layer,
  Effect.flatMap(Postgres.database, (options) =>
    Effect.all([Postgres.open(options), Postgres.open(options)])
  )
)
