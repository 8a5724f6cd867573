/** The command sends what it does to a collector: a real process, and a real collector's part. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { type AddressInfo, createServer as createTcpServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const Span = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.String),
  name: Schema.String
})

const Traces = Schema.Struct({
  resourceSpans: Schema.Array(
    Schema.Struct({
      resource: Schema.Unknown,
      scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) }))
    })
  )
})

const decodeTraces = Schema.decodeUnknownSync(Schema.parseJson(Traces))

const close = (server: { close: () => unknown }) =>
  Effect.sync(() => {
    server.close()
    if ("closeAllConnections" in server) (server as Server).closeAllConnections()
  })

/** Keeps what it is sent. */
const collector = Effect.gen(function* () {
  const received: Array<Received> = []
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString()
      received.push({ path: request.url ?? "", headers: request.headers, body })
      response.end("{}")
    })
  })
  yield* Effect.acquireRelease(listening(server), () => close(server))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    bodies: (path: string) => received.filter((one) => one.path === path).map(({ body }) => body),
    spans: () =>
      received
        .filter(({ path }) => path === "/v1/traces")
        .flatMap(({ body }) => decodeTraces(body).resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  }
})

const listening = (server: {
  listen: (port: number, host: string, listening: () => void) => unknown
}) => Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))

const traceId = "0af7651916cd43dd8448eb211c80319c"
const callerId = "b7ad6b7169203331"

/** Starts a run as part of a caller's trace. */
const startRun = (executor: Process.Executor, id: string, sampled: boolean) =>
  Effect.gen(function* () {
    const url = yield* executor.url
    const token = yield* Process.token
    return yield* Effect.promise(async () => {
      const response = await fetch(`${url}/runs`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          traceparent: `00-${traceId}-${callerId}-0${sampled ? 1 : 0}`
        },
        body: JSON.stringify({ workflow: "Work", payload: { id, steps: 2, millis: 0 } })
      })
      return ((await response.json()) as { runId: string }).runId
    })
  })

const json = { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", OTEL_SERVICE_NAME: "orders" }

describe("with a collector", () => {
  it.scopedLive("sends spans, metrics and log lines, all that there are by the end", () =>
    Effect.gen(function* () {
      const { bodies, received, spans, url } = yield* collector
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({
        ...json,
        LOG_LEVEL: "Debug",
        OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`,
        OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=top%20secret%2C1, X-Tenant = a"
      })
      const runId = yield* startRun(executor, "1", true)
      yield* executor.completed(runId)
      expect((yield* executor.stop()).code).toBe(0)

      const ofRun = spans().filter((span) => span.traceId === traceId)
      const byName = (name: string) => ofRun.find((span) => span.name === name)
      expect(ofRun.map(({ name }) => name).sort()).toEqual([
        "http.server POST",
        "step-1",
        "step-2",
        "workflow.run"
      ])
      expect(byName("http.server POST")?.parentSpanId).toBe(callerId)
      expect(byName("workflow.run")?.parentSpanId).toBe(byName("http.server POST")?.spanId)
      expect(byName("step-2")?.parentSpanId).toBe(byName("workflow.run")?.spanId)
      // and nothing else but the requests that this test has made: no probes, no statements
      const others = spans().filter((span) => span.traceId !== traceId)
      expect([...new Set(others.map(({ name }) => name))]).toEqual(["http.server GET"])

      expect(bodies("/v1/metrics").join()).toContain("workflow_executor_runs_finished_total")
      expect(bodies("/v1/logs").join()).toContain("drain over")
      for (const { body, headers } of received) {
        expect(body).toContain('{"key":"service.name","value":{"stringValue":"orders"}}')
        expect(headers).toMatchObject({ "x-api-key": "top secret,1", "x-tenant": "a" })
      }
      expect(executor.stdout + executor.stderr).not.toContain("top secret")
    })
  )

  it.scopedLive("leaves out what the caller's trace does not record", () =>
    Effect.gen(function* () {
      const { spans, url } = yield* collector
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({ ...json, OTEL_EXPORTER_OTLP_ENDPOINT: url })
      yield* executor.completed(yield* startRun(executor, "1", false))
      yield* executor.completed(yield* executor.run("Work", { id: "2", steps: 1, millis: 0 }))
      expect((yield* executor.stop()).code).toBe(0)
      expect(spans().filter((span) => span.traceId === traceId)).toEqual([])
      expect(spans().filter(({ name }) => name === "workflow.run")).toHaveLength(1)
    })
  )

  it.scopedLive("speaks protobuf where nothing else is asked for", () =>
    Effect.gen(function* () {
      const { bodies, received, url } = yield* collector
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
      yield* executor.completed(yield* startRun(executor, "1", true))
      expect((yield* executor.stop()).code).toBe(0)
      for (const { headers } of received) {
        expect(headers["content-type"]).toBe("application/x-protobuf")
      }
      expect(bodies("/v1/traces").join()).toContain("workflow-executor")
    })
  )
})

describe("without one that answers", () => {
  /** How long the stop takes after a run of which there is something to send. */
  const stopMillis = (url: string) =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start({
        LOG_LEVEL: "Debug",
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=hush"
      })
      yield* executor.completed(yield* startRun(executor, "1", true))
      const { code, millis } = yield* executor.stop()
      expect(code).toBe(0)
      const louder = executor.logs.filter(({ logLevel }) => logLevel !== "DEBUG")
      expect(louder.map(({ message }) => message)).toEqual([
        "executor starting",
        "runner running",
        "executor ready",
        "stopping; another signal, a second from now or later, ends the process at once",
        "drain begun",
        "drain over"
      ])
      expect(executor.stdout + executor.stderr).not.toContain("hush")
      return millis
    })

  const stopsSoon = (url: string) =>
    Effect.gen(function* () {
      const millis: Array<number> = []
      // the least disturbed by what else the machine does
      while (millis.length < 3 && !millis.some((one) => one < 2_000)) {
        millis.push(yield* stopMillis(url))
      }
      console.info(`stops, from signal to exit: ${millis.join(", ")} ms`)
      // a second for what is left to send, and what the rest takes
      expect(Math.min(...millis)).toBeLessThan(2_000)
    })

  it.scopedLive(
    "a collector that is not there does not hold up the stop",
    () => stopsSoon("http://127.0.0.1:65529"),
    60_000
  )

  it.scopedLive(
    "nor does one that never answers",
    () =>
      Effect.gen(function* () {
        const server = createTcpServer((socket) => socket.on("error", () => {}).resume())
        yield* Effect.acquireRelease(listening(server), () => close(server))
        yield* stopsSoon(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      }),
    60_000
  )
})

/** What was built, where `@effect/opentelemetry` is not installed. */
const withoutPackage = Effect.gen(function* () {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  const folder = yield* Process.makeFolder
  for (const name of ["dist", "package.json"]) {
    cpSync(join(root, name), join(folder, name), { recursive: true })
  }
  const [from, to] = [join(root, "node_modules"), join(folder, "node_modules")]
  mkdirSync(join(to, "@effect"), { recursive: true })
  for (const name of readdirSync(from)) {
    if (name !== "@effect") symlinkSync(join(from, name), join(to, name))
  }
  for (const name of readdirSync(join(from, "@effect"))) {
    if (name === "opentelemetry") continue
    symlinkSync(join(from, "@effect", name), join(to, "@effect", name))
  }
  return [process.execPath, join(folder, "dist/bin.js"), "start", Process.fixture("work.ts")]
})

describe("where the package is not installed", () => {
  it.scopedLive("an executor starts that has nothing to send", () =>
    Effect.gen(function* () {
      const command = yield* withoutPackage
      const { options } = yield* Fixture.make
      const executor = yield* Process.startReady({ ...options(), command })
      expect((yield* executor.stop()).code).toBe(0)
    })
  )

  it.scopedLive("the start says which one it is", () =>
    Effect.gen(function* () {
      const command = yield* withoutPackage
      const { options } = yield* Fixture.make
      const executor = yield* Process.start({
        ...options({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }),
        command
      })
      expect((yield* executor.exited).code).toBe(1)
      expect(executor.logs.at(-1)).toMatchObject({
        logLevel: "FATAL",
        message: expect.stringContaining("@effect/opentelemetry is not installed")
      })
    })
  )
})

describe("its variables", () => {
  it.scopedLive(
    "are refused with all others that are wrong, and their secrets are not shown",
    () =>
      Effect.gen(function* () {
        const { options } = yield* Fixture.make
        const wrong = { OTEL_EXPORTER_OTLP_HEADERS: "hush", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }
        for (const endpoint of ["localhost:4318", "http://ann:hush@localhost", "ftp://a"]) {
          const executor = yield* Process.start(
            options({ ...wrong, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, PORT: "x" })
          )
          expect((yield* executor.exited).code).toBe(1)
          const lines = executor.logs.map(({ message }) => message)
          expect(lines.map((line) => line.split(" ")[0])).toEqual([
            "PORT",
            "OTEL_EXPORTER_OTLP_ENDPOINT"
          ])
          expect(executor.stdout).not.toContain("hush")
        }
        const executor = yield* Process.start(
          options({ ...wrong, OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" })
        )
        expect((yield* executor.exited).code).toBe(1)
        const [first, second, ...more] = executor.logs.map(({ message }) => message)
        expect(first).toMatch(/^OTEL_EXPORTER_OTLP_HEADERS is <hidden>; expected headers as in /)
        expect(second).toMatch(
          /^OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"; expected one of http\/protobuf, http\/json/
        )
        expect(more).toEqual([])
        // whatever they are, where nothing is sent
        yield* Process.startReady(options(wrong))
      }),
    60_000
  )
})
