/** The requests that are about operations on many runs. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import type { BulkFilter, BulkRequest } from "../api/Bulk.js"
import type { Client } from "./Client.js"
import type { Requests } from "./Requests.js"
import { ProtocolError } from "./Wire.js"

type Asked = Pick<
  Client["Type"],
  "bulk" | "previewBulk" | "bulkOperation" | "bulkOperations" | "cancelBulk"
>

/** What is not said is no field. */
const said = (request: object) =>
  Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined))

const payloadOf = ({ action, filter = {}, ...options }: BulkRequest) => {
  const which: BulkFilter = said(filter)
  const how: Omit<BulkRequest, "action" | "filter"> = said(options)
  return { action, filter: which, ...how }
}

export const make = ({ authorized, call, callOnce }: Requests): Effect.Effect<Asked> =>
  Effect.map(HttpApiClient.group(Api, { group: "bulk", httpClient: authorized }), (bulk) => ({
    previewBulk: (request) =>
      Effect.map(
        call(bulk.start({ payload: { ...payloadOf(request), preview: true } })),
        ({ matched }) => ({ matched })
      ),
    // asked twice it would be two
    bulk: (request) =>
      Effect.flatMap(callOnce(bulk.start({ payload: payloadOf(request) })), (asked) =>
        "id" in asked
          ? Effect.succeed(asked)
          : new ProtocolError({ message: "Not an answer of this API: an operation without an id" })
      ),
    bulkOperation: (id) => call(bulk.get({ path: { id } })),
    bulkOperations: Effect.map(call(bulk.list({})), ({ operations }) => operations),
    cancelBulk: (id) => call(bulk.cancel({ path: { id } }))
  }))
