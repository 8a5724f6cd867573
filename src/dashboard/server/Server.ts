/**
 * The executor's API, as the dashboard asks it: by the parts of the package's own client, over the
 * same definition, with what it encodes and how it retries.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Api } from "../../api/Api.js"
import type { ListRequest, StepRequest, TerminateRequest } from "../../api/Requests.js"
import type { StartedView } from "../../api/RunView.js"
import type { StartOptionsBody } from "../../api/StartOptions.js"
import * as Requests from "../../client/Requests.js"
import { makeRuns, segment } from "../../client/Wire.js"
import { signOut, token } from "./Session.js"

/** How a question was not answered: the error's tag, what it says, and of which run, where it is of one. */
export interface Problem {
  readonly tag: string
  readonly message: string
  readonly runId?: string | undefined
}

export type Answer<A> =
  | { readonly ok: true; readonly value: A }
  | { readonly ok: false; readonly problem: Problem }

interface Refusal {
  readonly _tag: string
  readonly message: string
  readonly runId?: string
}

/** A question to the executor. */
export type Question<A> = Effect.Effect<A, Refusal>

/** The page is at `/ui/`, whatever is in front of it: the API is beside it. */
export const baseUrl = new URL("..", location.href).href.replace(/\/$/, "")

export const requestTimeout = Duration.seconds(20)

/** Who looks at a page is told early that nobody answers, and the page asks again by itself. */
const retry = Schedule.exponential("200 millis").pipe(Schedule.intersect(Schedule.recurs(2)))

/** The requests of one page view are no trace of anybody's. */
export const httpClient: HttpClient.HttpClient = Effect.runSync(
  Effect.map(
    Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer),
    HttpClient.withTracerDisabledWhen(() => true)
  )
)

export const currentToken = Effect.sync(() => Redacted.make(token.value ?? ""))

export const requests = Effect.runSync(
  Requests.make({ baseUrl, token: currentToken, retry, requestTimeout }).pipe(
    Effect.provide(Context.make(HttpClient.HttpClient, httpClient))
  )
)

const { authorized, call, callOnce, ofRun } = requests

const runs = Effect.runSync(makeRuns(authorized))

const endpoints = Effect.runSync(
  Effect.all({
    executors: HttpApiClient.endpoint(Api, {
      group: "executors",
      endpoint: "executors",
      httpClient: authorized
    }),
    drain: HttpApiClient.endpoint(Api, {
      group: "executors",
      endpoint: "drain",
      httpClient: authorized
    }),
    metrics: HttpApiClient.endpoint(Api, {
      group: "metrics",
      endpoint: "metrics",
      httpClient: authorized
    }),
    activity: HttpApiClient.endpoint(Api, {
      group: "metrics",
      endpoint: "activity",
      httpClient: authorized
    })
  })
)

/** Without what is not said: `undefined` is no parameter. */
const said = (request: ListRequest): ListRequest =>
  Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined))

export const workflows = Effect.map(call(runs.workflows({})), ({ workflows }) => workflows)

export const counts = call(runs.counts({ urlParams: {} }))

export const executors = Effect.map(call(endpoints.executors({})), ({ executors }) => executors)

export const drain = Effect.map(callOnce(endpoints.drain({})), ({ state }) => state)

/** The process's metrics, in the text format of Prometheus. */
export const metrics = call(endpoints.metrics({}))

/** How many steps ended in each minute of the last hour. */
export const activity = call(endpoints.activity({}))

export const countBy = (request: ListRequest) => call(runs.counts({ urlParams: said(request) }))

export const list = (request: ListRequest) => call(runs.list({ urlParams: said(request) }))

export const ids = (prefix: string) => call(runs.ids({ urlParams: { prefix } }))

/** The run with its first steps. */
export const get = (runId: string) => ofRun(runId, (runId) => runs.get({ path: { runId } }))

export const steps = (runId: string, cursor: string) =>
  ofRun(runId, (runId) => runs.steps({ path: { runId }, urlParams: { cursor } }))

export const step = ({ attempt, name, runId }: StepRequest) =>
  ofRun(runId, (runId) => runs.step({ path: { runId, name: segment(name), attempt } }))

export const payload = (runId: string) =>
  Effect.map(
    ofRun(runId, (runId) => runs.payload({ path: { runId } })),
    ({ payload }) => payload
  )

export const outcome = (runId: string) => ofRun(runId, (runId) => runs.outcome({ path: { runId } }))

export const start = (workflow: string, payload: unknown, options?: StartOptionsBody) =>
  Effect.map(
    call(
      runs.start({
        payload: { workflow, payload, ...(options === undefined ? {} : { options }) }
      })
    ),
    (answer): StartedView => ("created" in answer ? answer : { ...answer, created: true })
  )

export const signal = (runId: string, name: string, value: unknown) =>
  ofRun(runId, (runId) => runs.signal({ path: { runId, name: segment(name) }, payload: { value } }))

export const interrupt = (runId: string) =>
  ofRun(runId, (runId) => runs.interrupt({ path: { runId } }))

export const resume = (runId: string) => ofRun(runId, (runId) => runs.resume({ path: { runId } }))

export const retryRun = (runId: string) =>
  ofRun(runId, (runId) => runs.retry({ path: { runId }, urlParams: {} }))

export const remove = (runId: string) => ofRun(runId, (runId) => runs.remove({ path: { runId } }))

export const terminate = ({ runId, ...payload }: TerminateRequest) =>
  ofRun(runId, (runId) => runs.terminate({ path: { runId }, payload }))

const stopped: Problem = { tag: "Stopped", message: "The question was given up" }

const ended = (cause: Cause.Cause<never>): Problem =>
  Cause.isInterruptedOnly(cause) ? stopped : { tag: "Defect", message: String(Cause.squash(cause)) }

/** Asks. A token that is refused signs out, for every question alike. */
export const ask = <A>(question: Question<A>, signal?: AbortSignal): Promise<Answer<A>> =>
  question
    .pipe(
      Effect.match({
        onSuccess: (value): Answer<A> => ({ ok: true, value }),
        onFailure: ({ _tag: tag, message, runId }): Answer<A> => {
          if (tag === "Unauthorized") signOut(message)
          return { ok: false, problem: { tag, message, runId } }
        }
      }),
      Effect.catchAllCause((cause) =>
        Effect.succeed<Answer<A>>({ ok: false, problem: ended(cause) })
      ),
      (answer) => Effect.runPromise(answer, signal === undefined ? {} : { signal })
    )
    .catch(() => ({ ok: false, problem: stopped }))
