/**
 * What `start` sends to a collector, where it is told of one.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { OtlpSettings } from "../telemetry/OtlpSettings.js"

/** Telemetry is to be sent, and what sends it is not installed. */
export class OtlpNotInstalled extends Data.TaggedError("OtlpNotInstalled")<{
  readonly cause: unknown
}> {
  override get message() {
    return "OTEL_EXPORTER_OTLP_ENDPOINT is set, and the package @effect/opentelemetry is not installed: npm install @effect/opentelemetry@0.64"
  }
}

/** Loaded only when it is asked for: it is not needed to be there, and takes its time. */
export const load = (settings: OtlpSettings | undefined) =>
  settings === undefined
    ? Effect.succeed(Layer.empty)
    : Effect.tryPromise({
        try: () => import("../telemetry/Otlp.js"),
        catch: (cause) =>
          Predicate.hasProperty(cause, "code") && cause.code === "ERR_MODULE_NOT_FOUND"
            ? new OtlpNotInstalled({ cause })
            : cause
      }).pipe(Effect.map((Otlp) => Otlp.layer(settings)))
