/** The requests that are about executors, and not about runs. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import type { Client } from "./Client.js"
import type { Requests } from "./Requests.js"
import { told, Unavailable } from "./Wire.js"

type Asked = Pick<Client["Type"], "executors" | "drain" | "health">

export const make = ({ anyone, authorized, call, callOnce, inTime }: Requests) =>
  Effect.gen(function* () {
    const askExecutors = yield* HttpApiClient.endpoint(Api, {
      group: "executors",
      endpoint: "executors",
      httpClient: authorized
    })
    const askDrain = yield* HttpApiClient.endpoint(Api, {
      group: "executors",
      endpoint: "drain",
      httpClient: authorized
    })
    const askHealth = yield* HttpApiClient.endpoint(Api, {
      group: "probes",
      endpoint: "health",
      httpClient: anyone
    })
    const asked: Asked = {
      executors: Effect.map(call(askExecutors({})), ({ executors }) => executors),
      drain: Effect.map(callOnce(askDrain({})), ({ state }) => state),
      health: askHealth({}).pipe(
        Effect.map(({ state }) => state),
        inTime,
        Effect.catchTag("NotAvailable", ({ state }) => Effect.succeed(state)),
        Effect.mapError((error) =>
          error._tag === "Unavailable" ? error : new Unavailable(told(error))
        )
      )
    }
    return asked
  })
