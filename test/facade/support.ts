/** Workflows whose steps wait until the test lets them go, and a file to keep their runs in. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Activity, DurableDeferred, Workflow } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import { afterEach } from "vitest"
import { Signals } from "../../src/engine/Signals.js"
import * as PromiseExecutor from "../../src/facade/PromiseExecutor.js"

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  since: Schema.Date,
  message: Schema.String
}) {}

export const Approval = DurableDeferred.make("Approval", { success: Schema.Date })

/** What a run does is in its payload. */
export const Order = Workflow.make({
  name: "Order",
  payload: Schema.Struct({
    id: Schema.String,
    ends: Schema.optionalWith(
      Schema.Literal("well", "out of stock", "in plain words", "unexpectedly", "when approved"),
      { default: () => "well" as const }
    )
  }),
  success: Schema.Struct({ id: Schema.String, at: Schema.Date }),
  error: Schema.Union(OutOfStock, Schema.String),
  idempotencyKey: ({ id }) => id
}).annotate(Signals, [Approval])

/** Takes nothing, gives nothing. */
export const Tick = Workflow.make({ name: "Tick", payload: {}, idempotencyKey: () => "tick" })

/** Registered nowhere. */
export const Unheard = Workflow.make({
  name: "Unheard",
  payload: {},
  idempotencyKey: () => "unheard"
})

export interface Gate {
  readonly pass: Promise<void>
  readonly entered: Promise<void>
  readonly enter: () => void
  readonly open: () => void
}

export const gate = (): Gate => {
  let open = () => {}
  let enter = () => {}
  const pass = new Promise<void>((resolve) => {
    open = resolve
  })
  const entered = new Promise<void>((resolve) => {
    enter = resolve
  })
  return { pass, entered, enter, open }
}

export const date = new Date("2026-01-02T03:04:05.678Z")

/** The step of run `id` waits at `gates[id]` where there is one. */
export const orders = (gates: Readonly<Record<string, Gate>> = {}) =>
  Layer.merge(
    Tick.toLayer(() => Effect.void),
    Order.toLayer(({ ends, id }) =>
      Effect.gen(function* () {
        yield* Activity.make({
          name: "work",
          execute: Effect.suspend(() => {
            gates[id]?.enter()
            return Effect.promise(() => gates[id]?.pass ?? Promise.resolve())
          })
        })
        switch (ends) {
          case "well":
            return { id, at: date }
          case "out of stock":
            return yield* new OutOfStock({ since: date, message: "none left" })
          case "in plain words":
            return yield* Effect.fail("sold out")
          case "unexpectedly":
            return yield* Effect.die(new TypeError("not a function"))
          case "when approved":
            return { id, at: yield* DurableDeferred.await(Approval) }
        }
      })
    )
  )

const quiet = Logger.minimumLogLevel(LogLevel.None)

const made: Array<PromiseExecutor.PromiseExecutor> = []
const folders: Array<string> = []

afterEach(async () => {
  await Promise.allSettled(made.splice(0).map((executor) => executor.stop()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

export const file = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "facade-"))
  folders.push(folder)
  return join(folder, "executor.db")
}

/** An executor on a file, stopped after the test. */
export const onFile = (
  options: Partial<PromiseExecutor.SqliteOptions> = {}
): PromiseExecutor.PromiseExecutor => {
  const executor = PromiseExecutor.sqlite({
    database: options.database ?? file(),
    workflows: orders(),
    logging: quiet,
    ...options
  })
  made.push(executor)
  return executor
}

export const inMemory = (
  options: Partial<PromiseExecutor.Options> = {}
): PromiseExecutor.PromiseExecutor => {
  const executor = PromiseExecutor.memory({ workflows: orders(), logging: quiet, ...options })
  made.push(executor)
  return executor
}

/** What a promise rejects with. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`did not reject, but gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error
  )
