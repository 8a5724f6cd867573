/**
 * The commands for runs on the API of a running executor.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as DurableDeferred from "@effect/workflow/DurableDeferred"
import * as Workflow from "@effect/workflow/Workflow"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Client from "../client/Client.js"
import * as Authorization from "../http/Authorization.js"
import * as Variable from "../internal/Variable.js"
import * as Settings from "../Settings.js"
import { UsageError } from "./Failures.js"
import { Target, type TargetError, type TargetOptions } from "./Target.js"

/** A header is made of it: what cannot stand there would come back whole in an error. */
const parseToken = (text: string) => {
  const token = text.trim()
  return /^[\x21-\x7e]+$/.test(token) ? Redacted.make(token) : undefined
}

const tokenVariable = Variable.make("WORKFLOW_EXECUTOR_TOKEN", {
  secret: true,
  allowed: "a bearer token, of visible ASCII characters without blanks",
  parse: parseToken
}).pipe(Config.option)

const urlOfSettings = Effect.gen(function* () {
  const { host, port } = yield* Settings.address
  if (port === 0) {
    return yield* new UsageError({
      message: "PORT is 0, a free one that only the executor knows: say where it is with --url"
    })
  }
  // what listens everywhere is here too
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`
})

const parseUrl = (text: string) =>
  Effect.gen(function* () {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url !== undefined && url.username + url.password !== "") {
      return yield* new UsageError({
        message: "--url has a user or a password in it; the API asks for a token: --token"
      })
    }
    if (url?.protocol === "http:" || url?.protocol === "https:") return text
    return yield* new UsageError({
      message: `--url is ${JSON.stringify(text)}; expected one such as http://127.0.0.1:3400`
    })
  })

/** The one that was given; else, with the secret of the executor at hand, one for each request. */
const tokenOf = (given: TargetOptions["token"]) =>
  Effect.gen(function* () {
    if (Option.isSome(given)) {
      return (
        parseToken(Redacted.value(given.value)) ??
        (yield* new UsageError({
          message: "--token is no bearer token: visible ASCII characters without blanks"
        }))
      )
    }
    const ofEnvironment = yield* tokenVariable
    if (Option.isSome(ofEnvironment)) return ofEnvironment.value
    const secrets = yield* Settings.authSecret
    if (secrets === undefined) return undefined
    const tokens = yield* Authorization.makeTokens(secrets)
    return tokens.sign({ expiresIn: "1 minute" })
  })

/** The executor checks the payload; here it is an object of anything. */
const workflowOf = (name: string) =>
  Workflow.make({
    name,
    payload: Schema.Struct({}, Schema.Record({ key: Schema.String, value: Schema.Unknown })),
    idempotencyKey: () => ""
  })

/** What a path leaves out where it is all of a segment: it would be the path of something else. */
const leftOut: ReadonlySet<string> = new Set(["", ".", ".."])

const noRun = (runId: string): TargetError => ({
  _tag: "RunNotFound",
  message: `There is no run ${JSON.stringify(runId)}`
})

const ofRun = <A>(runId: string, effect: Effect.Effect<A, TargetError>) =>
  leftOut.has(runId) ? Effect.fail(noRun(runId)) : effect

const deferredOf = (name: string) => DurableDeferred.make(name, { success: Schema.Unknown })

export interface Options extends TargetOptions {
  /** Whether to outlast a restart of the executor; else who asks is told at once. */
  readonly patient: boolean
}

/** The client of that API, and how its errors are told to a person. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const baseUrl = yield* Option.match(options.url, {
    onNone: () => urlOfSettings,
    onSome: parseUrl
  })
  const token = yield* tokenOf(options.token)
  const client = yield* Client.make({
    baseUrl,
    token,
    pollInterval: "500 millis",
    ...(options.patient ? {} : { retry: Schedule.stop })
  })
  const explain = (error: TargetError): TargetError => {
    switch (error._tag) {
      case "Unavailable":
      case "ProtocolError":
        return { _tag: error._tag, message: `${baseUrl}: ${error.message}` }
      case "Unauthorized":
        return {
          _tag: error._tag,
          message:
            token === undefined
              ? `${baseUrl} asks for a token: give one with --token or WORKFLOW_EXECUTOR_TOKEN, or set AUTH_SECRET to the secret that the executor has`
              : `${baseUrl} refuses the token: ${error.message}`
        }
      default:
        return error
    }
  }
  return { baseUrl, client, explain, explained: Effect.mapError(explain) }
})

/** The others are told page by page, and not kept. */
const firstSteps = { steps: "first" } as const

export const layer = (options: Options) =>
  Layer.effect(
    Target,
    Effect.gen(function* () {
      const { client, explain, explained } = yield* make(options)
      return Target.of({
        list: (request) => explained(client.list(request)),
        get: (runId) => ofRun(runId, explained(client.get(runId, firstSteps))),
        steps: (request) => ofRun(request.runId, explained(client.steps(request))),
        step: (request) => ofRun(request.runId, explained(client.step(request))),
        payload: (runId) => ofRun(runId, explained(client.payload(runId))),
        outcome: (runId) => ofRun(runId, explained(client.outcome(runId))),
        ids: (prefix) => explained(client.ids(prefix)),
        watch: (runId) =>
          leftOut.has(runId)
            ? Stream.fail(noRun(runId))
            : Stream.mapError(client.watch(runId, firstSteps), explain),
        start: (workflow, payload, options) =>
          explained(client.startOrFind(workflowOf(workflow), payload, options)),
        interrupt: (runId) => ofRun(runId, explained(client.interrupt(runId))),
        terminate: ({ runId, ...options }) =>
          ofRun(runId, explained(client.terminate(runId, options))),
        resume: (runId) => ofRun(runId, explained(client.resume(runId))),
        retry: (runId, options) => ofRun(runId, explained(client.retry(runId, options))),
        remove: (runId) => ofRun(runId, explained(client.remove(runId))),
        countBy: (filter) => explained(client.countBy(filter)),
        queues: explained(client.queues),
        changeQueue: (request) => explained(client.changeQueue(request)),
        pauses: explained(client.pauses),
        pauseWorkflow: ({ park, workflow }) =>
          explained(client.pauseWorkflow({ workflow: { name: workflow }, park })),
        resumeWorkflow: (name) => explained(client.resumeWorkflow({ name })),
        bulk: (request) => explained(client.bulk(request)),
        previewBulk: (request) => explained(client.previewBulk(request)),
        bulkOperation: (id) => explained(client.bulkOperation(id)),
        bulkOperations: explained(client.bulkOperations),
        cancelBulk: (id) => explained(client.cancelBulk(id)),
        executors: explained(client.executors),
        signal: ({ name, runId, value }) =>
          leftOut.has(name)
            ? new UsageError({ message: `${JSON.stringify(name)} is not a signal's name` })
            : ofRun(runId, explained(client.signal(deferredOf(name), { runId }, value))),
        schedules: {
          list: (request) => explained(client.schedules.list(request)),
          get: (name) => explained(client.schedules.get(name)),
          put: (name, { workflow, ...request }) =>
            explained(client.schedules.put(name, workflowOf(workflow), request)),
          remove: (name) => explained(client.schedules.remove(name)),
          pause: (name) => explained(client.schedules.pause(name)),
          resume: (name) => explained(client.schedules.resume(name)),
          trigger: (name) => explained(client.schedules.trigger(name)),
          backfill: (name, request) => explained(client.schedules.backfill(name, request))
        }
      })
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))
