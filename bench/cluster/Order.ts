/** The workflow that both execute: what it does is told to a file, for a frozen process tells nobody. */
import { appendFileSync } from "node:fs"
import { Activity, Workflow } from "@effect/workflow"
import { Effect, Schema } from "effect"
import { sharedMillis } from "../harness/Process.js"

export interface Told {
  readonly event: "began" | "ended" | "compensated"
  readonly step: string
  readonly run: string
  readonly pid: number
  readonly at: number
}

export const Order = Workflow.make({
  name: "Order",
  payload: { id: Schema.String, millis: Schema.Number },
  success: Schema.String,
  idempotencyKey: ({ id }) => id
})

/** A reservation that is undone when the order fails, a payment that takes so long, and the rest. */
export const layer = (file: string) => {
  const tell = (event: Told["event"], step: string, run: string) =>
    Effect.sync(() => {
      const told: Told = { event, step, run, pid: process.pid, at: sharedMillis() }
      appendFileSync(file, `${JSON.stringify(told)}\n`)
    })
  const step = (name: string, run: string, millis: number) =>
    Activity.make({
      name,
      execute: tell("began", name, run).pipe(
        Effect.zipRight(Effect.sleep(millis)),
        Effect.zipRight(tell("ended", name, run))
      )
    })
  return Order.toLayer(({ id, millis }) =>
    Effect.gen(function* () {
      yield* step("reserve", id, 0).pipe(
        Order.withCompensation(() => tell("compensated", "reserve", id))
      )
      yield* step("charge", id, millis)
      yield* step("ship", id, 0)
      return id
    })
  )
}
