/**
 * What the API's definition cannot say: that an unknown route, a wrong method and a defect are
 * answered in JSON too, and the headers that every answer has.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Api } from "../api/Api.js"
import { limited } from "./Body.js"
import * as Docs from "./Docs.js"

const routes: ReadonlyArray<{ readonly pattern: RegExp; readonly method: string }> = (() => {
  const found: Array<{ readonly pattern: RegExp; readonly method: string }> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const pattern = endpoint.path.replace(/:[^/]+/g, "[^/]+")
      found.push({ pattern: new RegExp(`^${pattern}/?$`), method: endpoint.method })
    }
  })
  return found
})()

/** The methods that the API has for the path of this URL; none where it has no such path. */
const methodsOf = (url: string): ReadonlyArray<string> => {
  const path = url.split("?", 1)[0] ?? url
  return routes.filter((route) => route.pattern.test(path)).map((route) => route.method)
}

const answer = (status: number, _tag: string, message: string) =>
  HttpServerResponse.unsafeJson({ _tag, message }, { status })

const noRoute = (request: HttpServerRequest.HttpServerRequest) => {
  const methods = methodsOf(request.url)
  // a path of the API that the router could not read, such as /runs/%zz, is nothing either
  return methods.length === 0 || methods.includes(request.method)
    ? answer(404, "RouteNotFound", "There is nothing at this path")
    : HttpServerResponse.setHeader(
        answer(405, "MethodNotAllowed", `This path takes ${methods.join(", ")}`),
        "allow",
        methods.join(", ")
      )
}

const unanswered = (cause: Cause.Cause<never>) => {
  if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause)
  const error = Cause.squash(cause)
  if (error instanceof HttpServerError.RouteNotFound) {
    return Effect.map(HttpServerRequest.HttpServerRequest, noRoute)
  }
  return Effect.as(
    Effect.logError("A request failed unexpectedly", cause),
    answer(500, "InternalError", "The request failed unexpectedly; the log says why")
  )
}

/** Most of those who are refused are programs; one that is a browser is told so that it can be read. */
const explained = (response: HttpServerResponse.HttpServerResponse) =>
  response.status === 401
    ? Effect.map(
        HttpServerRequest.HttpServerRequest,
        (request) => Docs.refused(request) ?? response
      )
    : Effect.succeed(response)

const always = { "x-content-type-options": "nosniff", "cache-control": "no-store" }

const withHeaders = (response: HttpServerResponse.HttpServerResponse) =>
  HttpServerResponse.setHeaders(
    response,
    response.status === 401 ? { ...always, "www-authenticate": "Bearer" } : always
  )

/** The API's app, complete; request bodies up to `maxBodySize` bytes. */
export const complete = <R>(
  app: HttpApp.Default<never, R>,
  maxBodySize: number
): HttpApp.Default<never, R> =>
  app.pipe(
    Effect.updateService(HttpServerRequest.HttpServerRequest, limited(maxBodySize)),
    Effect.catchAllCause(unanswered),
    Effect.flatMap(explained),
    Effect.map(withHeaders)
  )
