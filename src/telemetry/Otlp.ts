/**
 * Spans, metrics and log lines to an OpenTelemetry collector. Needs `@effect/opentelemetry`, which
 * need not be installed: import this module only where it is.
 *
 * A collector that does not answer costs nothing but what would have been sent: after a failure
 * nothing is kept for it for a minute, and a release waits a second.
 */
import * as OtlpLogger from "@effect/opentelemetry/OtlpLogger"
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import type { OtlpSettings } from "./OtlpSettings.js"

/** How long a release waits until what is left has been sent. */
const shutdownTimeout = Duration.seconds(1)

/** How long the collector may take for one request; then it counts as one that does not answer. */
const answerWithin = Duration.seconds(5)

/**
 * Left out are what the caller's trace does not record, the store's own statements, which belong to
 * no request and no run, and whatever is below these.
 */
const isLeftOut = (name: string, parent: Option.Option<Tracer.AnySpan>): boolean =>
  Option.match(parent, {
    onNone: () => name.startsWith("sql."),
    onSome: ({ sampled }) => !sampled
  })

const leavingOut = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, ...rest) => {
      const span = tracer.span(name, parent, ...rest)
      // it would be sent when it ends
      return isLeftOut(name, parent) ? Object.assign(span, { sampled: false, end: () => {} }) : span
    },
    context: tracer.context
  })

/** Sends the headers, which are secrets, and keeps them to itself. */
const collectorClient = ({ headers }: OtlpSettings) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) =>
      client.pipe(
        HttpClient.mapRequest(HttpClientRequest.setHeaders(Redacted.value(headers))),
        HttpClient.transform((answer, request) =>
          Effect.timeoutFail(answer, {
            duration: answerWithin,
            // not one that is tried again: others wait
            onTimeout: () =>
              new HttpClientError.RequestError({
                request,
                reason: "Encode",
                description: `no answer within ${Duration.format(answerWithin)}`
              })
          })
        )
      )
    )
  ).pipe(Layer.provide(FetchHttpClient.layer))

/** Their names are not known beforehand, and all their values are secrets. */
const hideHeaders = ({ headers }: OtlpSettings) =>
  Layer.scopedDiscard(
    Effect.flatMap(FiberRef.get(Headers.currentRedactedNames), (names) =>
      Effect.locallyScoped(Headers.currentRedactedNames, [
        ...names,
        ...Object.keys(Redacted.value(headers))
      ])
    )
  )

/** Sends what the layers above it do, and the last of it when it is released. */
export const layer = (settings: OtlpSettings): Layer.Layer<never> => {
  const { endpoint, protocol, serviceName } = settings
  const options = (path: string) => ({
    url: `${endpoint}${path}`,
    resource: { serviceName },
    shutdownTimeout
  })
  const exporters = Layer.mergeAll(
    OtlpLogger.layer(options("/v1/logs")),
    OtlpMetrics.layer(options("/v1/metrics")),
    Layer.unwrapScoped(
      Effect.map(OtlpTracer.make(options("/v1/traces")), (tracer) =>
        Layer.setTracer(leavingOut(tracer))
      )
    )
  ).pipe(
    Layer.provide(
      protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
    ),
    Layer.provide(collectorClient(settings)),
    Layer.provide(hideHeaders(settings))
  )
  // all of them at once have that second
  return Layer.scopedDiscard(Effect.parallelFinalizers(Layer.build(exporters)))
}
