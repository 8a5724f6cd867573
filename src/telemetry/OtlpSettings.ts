/**
 * OpenTelemetry's own variables, as far as the command `start` reads them. Nothing is sent without
 * `OTEL_EXPORTER_OTLP_ENDPOINT`, and then the others are not looked at either.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Variable from "../internal/Variable.js"

export interface OtlpSettings {
  /**
   * `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector's base URL; `/v1/traces`, `/v1/metrics` and
   * `/v1/logs` are added.
   */
  readonly endpoint: string
  /** `OTEL_EXPORTER_OTLP_HEADERS`: sent with every request, such as an API key. Default: none. */
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** `OTEL_EXPORTER_OTLP_PROTOCOL`. Default: `http/protobuf`. */
  readonly protocol: Protocol
  /** `OTEL_SERVICE_NAME`. Default: `workflow-executor`. */
  readonly serviceName: string
}

export type Protocol = "http/protobuf" | "http/json"

const parseEndpoint = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  const isPlain = [url.username, url.password, url.search, url.hash].every((part) => part === "")
  return isPlain ? text.replace(/\/+$/, "") : undefined
}

const endpoint = Variable.make("OTEL_EXPORTER_OTLP_ENDPOINT", {
  // what somebody has put a password into is not to be in the log
  secret: true,
  allowed:
    "the http or https URL of a collector, such as http://localhost:4318, without a user, a password (there is OTEL_EXPORTER_OTLP_HEADERS) and a query",
  parse: (text) => parseEndpoint(text.trim())
}).pipe(Config.withDefault(undefined))

const headerName = /^[\w!#$%&'*+.^`|~-]+$/

const decodeValue = Option.liftThrowable((text: string) => decodeURIComponent(text.trim()))

/** `name=value,name=value`, the values percent-encoded. */
const parseHeaders = (text: string): OtlpSettings["headers"] | undefined => {
  const headers: Record<string, string> = {}
  for (const member of text.split(",")) {
    if (member.trim() === "") continue
    const equals = member.indexOf("=")
    const name = member.slice(0, Math.max(equals, 0)).trim()
    const value = Option.getOrUndefined(decodeValue(member.slice(equals + 1)))
    if (!headerName.test(name) || value === undefined || /[^\t\x20-\x7e]/.test(value))
      return undefined
    headers[name.toLowerCase()] = value
  }
  return Redacted.make(headers)
}

const others = Config.all({
  headers: Variable.make("OTEL_EXPORTER_OTLP_HEADERS", {
    secret: true,
    allowed: "headers as in name=value,name=value, the values percent-encoded",
    parse: parseHeaders
  }).pipe(Config.withDefault(Redacted.make({}))),
  protocol: Variable.oneOf<Protocol>("OTEL_EXPORTER_OTLP_PROTOCOL", {
    "http/protobuf": "http/protobuf",
    "http/json": "http/json"
  }).pipe(Config.withDefault("http/protobuf" as const)),
  serviceName: Variable.make("OTEL_SERVICE_NAME", {
    allowed: "a text",
    parse: (text) => text
  }).pipe(Config.withDefault("workflow-executor"))
})

/** `undefined`: nothing is sent. */
export const read: Effect.Effect<OtlpSettings | undefined, ConfigError.ConfigError> =
  Effect.flatMap(endpoint, (endpoint) =>
    endpoint === undefined
      ? Effect.succeed(undefined)
      : Effect.map(others, (others) => ({ endpoint, ...others }))
  )
