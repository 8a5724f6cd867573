/** The requests that are about workflows that are paused. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import { UnknownWorkflow } from "../api/Errors.js"
import type { Client } from "./Client.js"
import type { Requests } from "./Requests.js"
import { hasPath, segment } from "./Wire.js"

type Asked = Pick<Client["Type"], "pauses" | "pauseWorkflow" | "resumeWorkflow">

export const make = ({ authorized, call }: Requests): Effect.Effect<Asked> =>
  Effect.map(HttpApiClient.group(Api, { group: "pauses", httpClient: authorized }), (pauses) => ({
    pauses: Effect.map(call(pauses.list({})), ({ pauses }) => pauses),
    pauseWorkflow: ({ workflow: { name }, ...payload }) =>
      hasPath(name)
        ? call(pauses.pause({ path: { workflow: segment(name) }, payload }))
        : Effect.fail(
            new UnknownWorkflow({
              workflow: name,
              registered: [],
              message: `A workflow of the name ${JSON.stringify(name)} cannot be asked for`
            })
          ),
    // one that cannot be asked for is not paused
    resumeWorkflow: ({ name }) =>
      hasPath(name) ? call(pauses.resume({ path: { workflow: segment(name) } })) : Effect.void
  }))
