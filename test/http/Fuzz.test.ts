/**
 * Malformed requests over real connections to a whole executor. Whatever it is sent, it
 * answers with what the client did wrong, or ends the connection; nothing is answered with 5xx,
 * nothing hangs, and it goes on.
 *
 * A failure prints the seed, the number of the request and the request whole.
 * - `FUZZ_SEED`: another seed; 1 by default
 * - `FUZZ_REQUESTS`: how many requests; 10,000 by default
 * - `FUZZ_FROM`: the number of the first one; 0 by default
 * - `FUZZ_PATIENCE`: milliseconds after which a request hangs; 10,000 by default
 * - `FUZZ_TALLY`: set, it prints how often there was which answer
 */
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Executor from "../../src/Executor.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import { Signals } from "../../src/engine/Signals.js"
import * as Requests from "./fuzz/Requests.js"
import * as Tokens from "./fuzz/Tokens.js"
import { type Answer, isStream, Wire } from "./fuzz/Wire.js"

const seed = Number(process.env.FUZZ_SEED ?? 1)
const count = Number(process.env.FUZZ_REQUESTS ?? 10_000)
const first = Number(process.env.FUZZ_FROM ?? 0)

const secret = "0123456789abcdef0123456789abcdef"

// ---------------------------------------------------------------------------------------------
// The executor
// ---------------------------------------------------------------------------------------------

interface Child {
  readonly child: Child | null
}

const Child: Schema.Schema<Child> = Schema.Struct({
  child: Schema.NullOr(Schema.suspend(() => Child))
})

const Order = Workflow.make({
  name: "Order",
  payload: {
    id: Schema.String,
    due: Schema.optional(Schema.Date),
    amount: Schema.optional(Schema.Int),
    tags: Schema.optional(Schema.Array(Schema.String)),
    child: Schema.optional(Schema.NullOr(Child)),
    any: Schema.optional(Schema.Unknown)
  },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

const Approval = DurableDeferred.make("Approval", { success: Schema.Boolean })

const Waiting = Workflow.make({
  name: "Waiting",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
}).annotate(Signals, [Approval])

const Failing = Workflow.make({
  name: "Failing",
  payload: { id: Schema.String },
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const workflows = Layer.mergeAll(
  Order.toLayer(({ id }) =>
    Activity.make({
      name: "ship",
      success: Schema.String,
      execute: Effect.succeed(`shipped ${id}`)
    })
  ),
  Waiting.toLayer(() => Effect.asVoid(DurableDeferred.await(Approval))),
  Failing.toLayer(() =>
    Activity.make({ name: "fail", error: Schema.String, execute: Effect.fail("as it should") })
  )
)

const maxBodySize = 64 * 1024

/** An executor in memory, which is quicker; its port, what it logs, its runs' ends, and its stop. */
const start = Effect.gen(function* () {
  const complaints: Array<string> = []
  const logger = Logger.make(({ cause, logLevel, message }) => {
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) {
      // a workflow that fails is to say so
      if (String(message) === "run failed") return
      complaints.push(`${logLevel.label} ${String(message)} ${JSON.stringify(cause)}`)
    }
  })
  const scope = yield* Scope.make()
  const context = yield* Executor.layerMemory({
    workflows,
    http: { port: 0, authSecret: Redacted.make(secret), maxBodySize }
  }).pipe(
    Layer.provide(Logger.replace(Logger.defaultLogger, logger)),
    Layer.buildWithScope(scope),
    Effect.orDie
  )
  const stop = yield* Effect.once(Scope.close(scope, Exit.void))
  yield* Effect.addFinalizer(() => stop)
  const { address } = Context.get(context, HttpServer.HttpServer)
  const { result } = Context.get(context, Dispatcher)
  return { port: address._tag === "TcpAddress" ? address.port : 0, complaints, result, stop }
})

// ---------------------------------------------------------------------------------------------
// What an answer must be
// ---------------------------------------------------------------------------------------------

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isError = Schema.is(Schema.Struct({ _tag: Schema.String, message: Schema.String }))

const isProbe = Schema.is(Schema.Struct({ state: Schema.String }))

/** Node's own, with no body: 417 is the answer to an `Expect` that it does not know. */
const isNodes = ({ body, headers, status }: Answer) =>
  body === "" &&
  (status === 417 || (headers.get("connection") === "close" && [400, 408, 431].includes(status)))

/** The way to the dashboard, which is for everybody. */
const leadsToPage = ({ headers, status }: Answer) =>
  status === 302 && headers.get("location") === "ui/"

const wrongWith = (request: Requests.FuzzRequest, answer: Answer): string | undefined => {
  const { body, headers, status } = answer
  if (status >= 500) return "the server takes it for its own fault"
  const json = /^application\/json/.test(headers.get("content-type") ?? "")
    ? parse(body)
    : undefined
  if (status >= 400) {
    if (request.method === "HEAD" || isNodes(answer)) return undefined
    return isError(json) ? undefined : "an error that is not JSON with _tag and message"
  }
  if (
    request.token.isGood === false &&
    request.method !== "HEAD" &&
    !isProbe(json) &&
    !leadsToPage(answer)
  ) {
    return "let in with a token that is not good"
  }
  return undefined
}

// ---------------------------------------------------------------------------------------------
// Sending
// ---------------------------------------------------------------------------------------------

/** Milliseconds for an answer; a machine may have other things to do. */
const patience = Number(process.env.FUZZ_PATIENCE ?? 10_000)

const health = Buffer.from("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

const isHealthy = async (port: number) => {
  const wire = await Wire.connect(port)
  wire.write(health)
  const answer = await wire.answer("GET", patience)
  wire.destroy()
  return answer?.status === 200
}

/** All answers until the connection ends. */
const untilEnd = async (wire: Wire, method: string) => {
  const answers: Array<Answer> = []
  while (true) {
    const answer = await wire.answer(method, patience)
    if (answer === undefined) return answers
    answers.push(answer)
    if (isStream(answer)) return answers
  }
}

/** On a connection of its own, which it may spoil. */
const sendAlone = async (port: number, { bytes, due, method }: Requests.FuzzRequest) => {
  const wire = await Wire.connect(port)
  try {
    wire.write(bytes)
    const answers: Array<Answer> = []
    if (due === "end") {
      const answer = await wire.answer(method, patience)
      if (answer === undefined) return answers
      answers.push(answer)
      if (isStream(answer)) return answers
    } else if (!(await isHealthy(port))) {
      // it has arrived once what came later is answered
      throw new Error("not healthy any more")
    }
    wire.halfClose()
    answers.push(...(await untilEnd(wire, due === "end" ? "GET" : method)))
    return answers
  } finally {
    wire.destroy()
  }
}

/** So many are enough to look into. */
const maxFaults = 10

const makeSender = (port: number, world: Requests.World, tally: Map<string, number>) => {
  let next = first
  const faults: Array<string> = []

  const check = (index: number, request: Requests.FuzzRequest, answers: ReadonlyArray<Answer>) => {
    for (const answer of answers) {
      const json = parse(answer.body)
      const key = `${answer.status}${isError(json) ? ` ${json._tag}` : ""}`
      tally.set(key, (tally.get(key) ?? 0) + 1)
      const wrong = wrongWith(request, answer)
      if (wrong !== undefined) fault(index, request, `${answer.status} ${answer.body}: ${wrong}`)
    }
  }

  const fault = (index: number, { bytes, due, what }: Requests.FuzzRequest, why: string) => {
    const text = JSON.stringify(bytes.toString("latin1"))
    faults.push(
      `FUZZ_SEED=${seed} FUZZ_FROM=${index} FUZZ_REQUESTS=1: ${why}\n${what.join(", ")}; due: ${due}\n${text}`
    )
  }

  /** One after the other on one connection, for as long as it lasts. */
  const send = async () => {
    let wire = await Wire.connect(port)
    let before: number | undefined
    try {
      while (next < first + count && faults.length < maxFaults) {
        const index = next++
        const request = Requests.make(seed, index, world)
        try {
          if (request.due !== "answer") {
            check(index, request, await sendAlone(port, request))
            continue
          }
          if (!wire.isOpen) {
            wire = await Wire.connect(port)
            before = undefined
          }
          wire.write(request.bytes)
          const answer = await wire.answer(request.method, patience)
          if (answer === undefined) fault(index, request, "ended without an answer")
          else check(index, request, [answer])
          if (answer !== undefined && isStream(answer)) wire.destroy()
          else if (answer?.headers.get("connection") === "close") await untilEnd(wire, "GET")
          before = index
        } catch (error) {
          fault(index, request, `${error}; before it on its connection: ${before}`)
          wire.destroy()
        }
      }
    } finally {
      wire.destroy()
    }
  }

  return { send, faults }
}

/** With a good token. */
const ask = async (port: number, method: string, path: string, body?: unknown) => {
  const token = Tokens.makeTokens(secret, 0).good.headers[0]?.[1] ?? ""
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: token, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const startRun = async (port: number, workflow: string, id: string) => {
  const { body, status } = await ask(port, "POST", "/runs", { workflow, payload: { id } })
  assert.strictEqual(status, 202, JSON.stringify(body))
  return String(body.runId)
}

describe("an executor that is sent malformed requests", () => {
  it.scopedLive(
    "answers none with 5xx, hangs at none, and goes on",
    () =>
      Effect.gen(function* () {
        const { complaints, port, result, stop } = yield* start
        const tally = new Map<string, number>()
        // the executor's clock: the tokens are to be before, within and after their time by it
        const now = yield* Clock.currentTimeMillis
        const runId = yield* Effect.promise(async () => {
          const runIds: Array<string> = []
          for (const workflow of ["Order", "Waiting", "Failing"]) {
            for (let id = 0; id < 40; id++) runIds.push(await startRun(port, workflow, `run ${id}`))
          }
          const tokens = Tokens.makeTokens(secret, Math.floor(now / 1_000))
          const { faults, send } = makeSender(port, { tokens, runIds, maxBodySize }, tally)
          await Promise.all(Array.from({ length: 8 }, send))
          assert.isEmpty(faults, faults.join("\n\n"))

          assert.isTrue(await isHealthy(port))
          return startRun(port, "Order", "after all that")
        })
        yield* result(runId)
        const { body } = yield* Effect.promise(() => ask(port, "GET", `/runs/${runId}`))
        assert.strictEqual(body.status, "completed")
        assert.deepStrictEqual(complaints, [])
        yield* Effect.timeout(stop, "5 seconds")
        if (process.env.FUZZ_TALLY !== undefined) {
          console.log([...tally].sort(([, a], [, b]) => b - a))
        }
      }),
    120_000
  )
})
