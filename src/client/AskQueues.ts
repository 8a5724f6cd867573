/** The requests that are about queues. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import { QueueNotFound } from "../api/Queues.js"
import type { Client } from "./Client.js"
import type { Requests } from "./Requests.js"
import { hasPath, segment } from "./Wire.js"

type Asked = Pick<Client["Type"], "queues" | "changeQueue">

export const make = ({ authorized, call }: Requests): Effect.Effect<Asked> =>
  Effect.map(HttpApiClient.group(Api, { group: "queues", httpClient: authorized }), (queues) => ({
    queues: Effect.map(call(queues.list({})), ({ queues }) => queues),
    changeQueue: ({ name, ...payload }) =>
      hasPath(name)
        ? call(queues.change({ path: { name: segment(name) }, payload }))
        : Effect.fail(
            new QueueNotFound({
              name,
              message: `A queue of the name ${JSON.stringify(name)} cannot be asked for`
            })
          )
  }))
