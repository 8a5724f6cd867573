/** An executor on a file, with its HTTP API. */
import { randomBytes } from "node:crypto"
import { HttpServer } from "@effect/platform"
import { Effect, Layer, Redacted } from "effect"
import * as Executor from "../../src/Executor.js"
import * as Authorization from "../../src/http/Authorization.js"
import * as Runtime from "../harness/Runtime.js"
import type { Session } from "../harness/Session.js"
import * as Workflows from "../Workflows.js"
import * as Throughput from "./Throughput.js"
import { allOver } from "./Unfinished.js"

export type Input =
  | { readonly _tag: "Address" }
  /** Executes runs that are started here, as fast as it can. */
  | ({ readonly _tag: "Load" } & Throughput.Input)
  /** Executes a run with so many children, all at once. */
  | { readonly _tag: "FanIn"; readonly children: number }
  /** Waits until all runs are over. */
  | { readonly _tag: "Settle" }

export type Output =
  | { readonly _tag: "Address"; readonly port: number; readonly token: string }
  | {
      readonly _tag: "Load"
      readonly stepsPerSecond: number
      readonly cpuMicrosPerStep: number
    }
  | { readonly _tag: "FanIn"; readonly millis: number }
  | { readonly _tag: "Settled" }

const shape: Workflows.Shape = { steps: 3, made: "once" }

/** @param params.full the executor has no room: runs are stored and wait */
export const open = async (params: {
  readonly filename: string
  readonly full: boolean
}): Promise<Session<Input, Output>> => {
  const authSecret = Redacted.make(randomBytes(32).toString("hex"))
  const workflows = Layer.mergeAll(
    Workflows.stepsLayer(shape),
    Workflows.fanOutLayer,
    Workflows.workLayer,
    Workflows.gatedLayer({ first: () => {}, inFlight: () => {}, gate: Effect.never })
  )
  const runtime = await Runtime.make(
    Executor.layer({
      workflows,
      database: params.filename,
      http: { port: 0, authSecret },
      ...(params.full ? { maxConcurrentRuns: 1, stopTimeout: 0 } : {})
    }),
    params.full ? "None" : "Warning"
  )
  if (params.full) await runtime.run(Workflows.Gated.execute({ id: "fills" }, { discard: true }))
  return {
    ask: async (input) => {
      switch (input._tag) {
        case "Address": {
          const { address } = await runtime.run(HttpServer.HttpServer)
          const tokens = await runtime.run(Authorization.makeTokens(authSecret))
          const token = Redacted.value(await runtime.run(tokens.sign()))
          if (address._tag !== "TcpAddress") throw new Error("the server has no port")
          return { _tag: "Address", port: address.port, token }
        }
        case "Load": {
          const { cpuMicrosPerStep, stepsPerSecond } = await runtime.run(
            Throughput.round(shape, input)
          )
          return { _tag: "Load", stepsPerSecond, cpuMicrosPerStep }
        }
        case "FanIn": {
          const { children } = input
          const began = performance.now()
          await runtime.run(
            Workflows.FanOut.execute({
              id: Throughput.nextId(),
              children,
              concurrency: 0,
              millis: 0
            })
          )
          return { _tag: "FanIn", millis: performance.now() - began }
        }
        case "Settle": {
          if (!params.full) await allOver(params.filename, 20)
          return { _tag: "Settled" }
        }
      }
    },
    close: runtime.dispose
  }
}
