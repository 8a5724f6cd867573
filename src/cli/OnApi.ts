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
import * as Client from "../Client.js"
import * as Authorization from "../http/Authorization.js"
import * as Variable from "../internal/Variable.js"
import * as Settings from "../Settings.js"
import { UsageError } from "./Failures.js"
import { Target, type TargetError, type TargetOptions } from "./Target.js"

const tokenVariable = Variable.make("WORKFLOW_EXECUTOR_TOKEN", {
  secret: true,
  allowed: "a bearer token",
  parse: (text) => Redacted.make(text.trim())
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
    if (url?.protocol === "http:" || url?.protocol === "https:") return text
    return yield* new UsageError({
      message: `--url is ${JSON.stringify(text)}; expected one such as http://127.0.0.1:3400`
    })
  })

/** The one that was given; else, with the secret of the executor at hand, one for each request. */
const tokenOf = (given: TargetOptions["token"]) =>
  Effect.gen(function* () {
    if (Option.isSome(given)) return given.value
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

const deferredOf = (name: string) => DurableDeferred.make(name, { success: Schema.Unknown })

/**
 * @param patient whether to outlast a restart of the executor; else who asks is told at once
 */
export const layer = (options: TargetOptions & { readonly patient: boolean }) =>
  Layer.effect(
    Target,
    Effect.gen(function* () {
      const baseUrl = yield* Option.match(options.url, {
        onNone: () => urlOfSettings,
        onSome: parseUrl
      })
      const token = yield* tokenOf(options.token)
      const client = yield* Client.make({
        baseUrl,
        token,
        ...(options.patient ? {} : { retry: Schedule.stop })
      })
      const explained = Effect.mapError((error: TargetError): TargetError => {
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
      })
      return Target.of({
        list: (request) => explained(client.list(request)),
        get: (runId) => explained(client.get(runId)),
        start: (workflow, payload) => explained(client.start(workflowOf(workflow), payload)),
        interrupt: (runId) => explained(client.interrupt(runId)),
        resume: (runId) => explained(client.resume(runId)),
        retry: (runId) => explained(client.retry(runId)),
        remove: (runId) => explained(client.remove(runId)),
        counts: explained(client.counts),
        executors: explained(client.executors),
        signal: ({ name, runId, value }) =>
          explained(client.signal(deferredOf(name), { runId }, value))
      })
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))
