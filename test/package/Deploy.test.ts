/**
 * What `deploy/` holds, as far as it can be checked without Docker and Kubernetes: that it can be
 * read, that its numbers are the code's, and that the commands in it work.
 */
import { execFile, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { patience } from "../../src/cli/Start.js"
import { defaults } from "../../src/engine/RunnerConfig.js"
import * as Fixture from "../process/Fixture.js"
import * as Process from "../support/Executor.js"
import * as Postgres from "../support/Postgres.js"
import { root } from "./App.js"

const file = (name: string) => join(root, "deploy", name)
const read = (name: string) => readFileSync(file(name), "utf8")

/** After `stopTimeout` and this, the process is over, whatever holds it. */
const bound = Duration.toSeconds(Duration.sum(defaults.stopTimeout, patience))

/** Seconds that whatever stops the process waits, after which it kills it. */
const checkGrace = (seconds: number, stopTimeout: string | undefined) => {
  const { closeTimeout, stopGrace } = defaults
  const inTurn = Duration.sum(stopGrace, closeTimeout)
  assert.isBelow(Duration.toSeconds(inTurn), Duration.toSeconds(patience))
  assert.strictEqual(stopTimeout, Duration.format(defaults.stopTimeout).replace("s", " seconds"))
  assert.isAbove(seconds, bound)
  assert.strictEqual(seconds, Duration.toSeconds(defaults.stopTimeout) + 60)
}

const start = ["node", "node_modules/.bin/workflow-executor", "start", "workflows.ts"]

describe("Dockerfile", () => {
  /** Of the last stage; what is continued is one line. */
  const instructions = read("Dockerfile")
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n/g, " ")
    .split(/^FROM /m)
    .at(-1)
    ?.split("\n")
    .slice(1)
    .filter((line) => line !== "")
    .map((line): readonly [string, string] => {
      const [, name = "", value = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? []
      return [name, value]
    })

  const of = (name: string) =>
    (instructions ?? []).filter(([instruction]) => instruction === name).map(([, value]) => value)

  const words = Schema.decodeUnknownSync(Schema.parseJson(Schema.Array(Schema.String)))

  it("starts Node itself, which is told the signal, and not as root", () => {
    assert.deepStrictEqual(
      of("CMD").map((value) => words(value)),
      [start]
    )
    assert.deepStrictEqual(of("ENTRYPOINT"), [])
    assert.deepStrictEqual(of("STOPSIGNAL"), ["SIGTERM"])
    assert.deepStrictEqual(of("USER"), ["node"])
    assert.deepStrictEqual(of("VOLUME"), ["/data"])
    assert.match(of("ENV").join(" "), /HOST=0\.0\.0\.0 .*DATABASE_FILE=\/data\//)
    assert.notInclude(read("Dockerfile"), "AUTH_SECRET")
  })

  const health = words(/CMD (\[.*\])$/.exec(of("HEALTHCHECK")[0] ?? "")?.[1] ?? "")

  const ask = (port: string) =>
    Effect.async<number>((resume) => {
      const [, ...args] = health
      const env = { ...process.env, PORT: port }
      execFile(process.execPath, args, { env }).on("exit", (code) =>
        resume(Effect.succeed(code ?? -1))
      )
    })

  it.scopedLive("has a health check that tells an executor from none", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* fixture.start()
      const { port } = new URL(yield* executor.url)
      assert.strictEqual(yield* ask(port), 0)
      // and one that drains
      const runId = yield* executor.run("Held", { id: "held" })
      yield* fixture.began(runId, "held")
      yield* executor.kill("SIGTERM")
      yield* executor.log("drain begun")
      assert.strictEqual(yield* ask(port), 0)
      yield* fixture.open("held")
      yield* executor.exited
      assert.strictEqual(yield* ask(port), 1)
    })
  )
})

describe("the systemd unit", () => {
  const unit = read("workflow-executor.service")
  const of = (name: string) =>
    Array.from(unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm")), ([, value = ""]) => value)

  it("waits longer for the process than the process can take", () => {
    const [, stopTimeout] = /STOP_TIMEOUT=([^"]*)/.exec(of("Environment").join("\n")) ?? []
    checkGrace(Number(of("TimeoutStopSec")[0]), stopTimeout)
  })

  it("tells Node itself, and it alone, to stop", () => {
    assert.deepStrictEqual(of("ExecStart"), [`/usr/bin/${start.join(" ")}`])
    assert.deepStrictEqual([of("Type"), of("KillSignal"), of("KillMode")].flat(), [
      "exec",
      "SIGTERM",
      "mixed"
    ])
  })

  const verify = () =>
    spawnSync("systemd-analyze", ["verify", file("workflow-executor.service")], {
      encoding: "utf8"
    })

  it.skipIf(!existsSync("/usr/bin/node") || spawnSync("systemd-analyze", ["--version"]).error)(
    "is what systemd understands",
    () => {
      const { status, stderr } = verify()
      assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    }
  )
})

const Probe = Schema.Struct({
  httpGet: Schema.Struct({ path: Schema.String, port: Schema.Literal("http") })
})

const Template = Schema.Struct({
  metadata: Schema.Struct({ labels: Schema.Unknown }),
  spec: Schema.Struct({
    terminationGracePeriodSeconds: Schema.Number,
    securityContext: Schema.Struct({ runAsNonRoot: Schema.Boolean, runAsUser: Schema.Number }),
    containers: Schema.Tuple(
      Schema.Struct({
        env: Schema.Array(
          Schema.Struct({ name: Schema.String, value: Schema.optional(Schema.String) })
        ),
        startupProbe: Probe,
        readinessProbe: Probe,
        livenessProbe: Probe,
        lifecycle: Schema.optional(Schema.Unknown),
        volumeMounts: Schema.Array(Schema.Struct({ name: Schema.String, mountPath: Schema.String }))
      })
    )
  })
})

const Selector = Schema.Struct({ matchLabels: Schema.Unknown })

const StatefulSet = Schema.Struct({
  kind: Schema.Literal("StatefulSet"),
  spec: Schema.Struct({ replicas: Schema.Number, selector: Selector, template: Template })
})

const Deployment = Schema.Struct({
  kind: Schema.Literal("Deployment"),
  spec: Schema.Struct({
    replicas: Schema.Number,
    selector: Selector,
    strategy: Schema.Struct({
      type: Schema.Literal("RollingUpdate"),
      rollingUpdate: Schema.Struct({ maxSurge: Schema.Number, maxUnavailable: Schema.Number })
    }),
    template: Template
  })
})

const Budget = Schema.Struct({
  kind: Schema.Literal("PodDisruptionBudget"),
  spec: Schema.Struct({ maxUnavailable: Schema.Number, selector: Selector })
})

const Service = Schema.Struct({
  kind: Schema.Literal("Service"),
  spec: Schema.Struct({ selector: Schema.Unknown })
})

/** `@effect/cli` has a YAML parser, and so has everybody who has this package. */
const { parseAllDocuments } = createRequire(
  createRequire(import.meta.url).resolve("@effect/cli/package.json")
)("yaml") as {
  readonly parseAllDocuments: (
    text: string
  ) => ReadonlyArray<{ readonly errors: ReadonlyArray<unknown>; readonly toJSON: () => unknown }>
}

describe("the Kubernetes manifest", () => {
  const documents = parseAllDocuments(read("kubernetes.yaml"))
  const [service, set] = Schema.decodeUnknownSync(Schema.Tuple(Service, StatefulSet))(
    documents.map((document) => document.toJSON())
  )
  const { metadata, spec } = set.spec.template
  const [container] = spec.containers
  const variable = (name: string) => container.env.find((variable) => variable.name === name)

  it("is YAML, whose parts find each other", () => {
    assert.deepStrictEqual(
      documents.flatMap(({ errors }) => errors),
      []
    )
    assert.deepStrictEqual(set.spec.selector.matchLabels, metadata.labels)
    assert.deepStrictEqual(service.spec.selector, metadata.labels)
    assert.isDefined(variable("AUTH_SECRET"))
    assert.isUndefined(variable("AUTH_SECRET")?.value)
  })

  it("waits longer for the process than the process can take", () => {
    checkGrace(spec.terminationGracePeriodSeconds, variable("STOP_TIMEOUT")?.value)
    // which would be a part of that time
    assert.isUndefined(container.lifecycle)
  })

  it("has one pod on its volume, not as root", () => {
    assert.strictEqual(set.spec.replicas, 1)
    assert.deepStrictEqual(spec.securityContext, { runAsNonRoot: true, runAsUser: 1000 })
    const folders = container.volumeMounts.map(({ mountPath }) => mountPath)
    assert.include(folders, join(variable("DATABASE_FILE")?.value ?? "", ".."))
    assert.include(folders, "/tmp")
  })

  it("asks /ready whether it is ready and /health whether it lives", () => {
    const { livenessProbe, readinessProbe, startupProbe } = container
    assert.deepStrictEqual(
      [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path),
      ["/health", "/ready", "/health"]
    )
  })

  it.scopedLive("has settings that an executor starts with", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const stopTimeout = variable("STOP_TIMEOUT")?.value ?? ""
      const options = fixture.options({ STOP_TIMEOUT: stopTimeout, HOST: "0.0.0.0" })
      const executor = yield* Process.startReady(options)
      assert.strictEqual((yield* executor.stop()).code, 0)
    })
  )
})

describe("the Kubernetes manifest over PostgreSQL", () => {
  const documents = parseAllDocuments(read("kubernetes-postgres.yaml"))
  const [service, budget, deployment] = Schema.decodeUnknownSync(
    Schema.Tuple(Service, Budget, Deployment)
  )(documents.map((document) => document.toJSON()))
  const { metadata, spec } = deployment.spec.template
  const [container] = spec.containers
  const variable = (name: string) => container.env.find((variable) => variable.name === name)

  it("is YAML, whose parts find each other", () => {
    assert.deepStrictEqual(
      documents.flatMap(({ errors }) => errors),
      []
    )
    for (const labels of [
      deployment.spec.selector.matchLabels,
      budget.spec.selector.matchLabels,
      service.spec.selector
    ]) {
      assert.deepStrictEqual(labels, metadata.labels)
    }
    for (const secret of ["AUTH_SECRET", "DATABASE_URL"]) {
      assert.isDefined(variable(secret))
      assert.isUndefined(variable(secret)?.value)
    }
  })

  it("replaces three, one after the other, and never has fewer", () => {
    assert.strictEqual(deployment.spec.replicas, 3)
    assert.deepStrictEqual(deployment.spec.strategy.rollingUpdate, {
      maxSurge: 1,
      maxUnavailable: 0
    })
    assert.strictEqual(budget.spec.maxUnavailable, 1)
    checkGrace(spec.terminationGracePeriodSeconds, variable("STOP_TIMEOUT")?.value)
    assert.isUndefined(container.lifecycle)
  })

  it("has no file, not as root, and asks as the other does", () => {
    assert.deepStrictEqual(spec.securityContext, { runAsNonRoot: true, runAsUser: 1000 })
    assert.deepStrictEqual(
      container.volumeMounts.map(({ mountPath }) => mountPath),
      ["/tmp"]
    )
    const { livenessProbe, readinessProbe, startupProbe } = container
    assert.deepStrictEqual(
      [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path),
      ["/health", "/ready", "/health"]
    )
  })

  it.scopedLive(
    "has settings that an executor starts with, in an image that has a file's",
    () =>
      Effect.gen(function* () {
        const { url } = yield* Postgres.ownDatabase
        const fixture = yield* Fixture.make
        const given = container.env.flatMap(({ name, value }) =>
          value === undefined || name === "PORT" ? [] : [[name, value] as const]
        )
        // as the container's, after those of the image
        const { DATABASE_FILE: _, ...options } = fixture.options().env ?? {}
        const executor = yield* Process.startReady({
          ...fixture.options(),
          env: { ...options, ...Object.fromEntries(given), DATABASE_URL: Redacted.value(url) }
        })
        assert.strictEqual((yield* executor.request("GET", "/ready")).status, 200)
        assert.strictEqual((yield* executor.stop()).code, 0)
      }),
    60_000
  )
})
