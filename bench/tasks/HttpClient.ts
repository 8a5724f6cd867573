/** Clients of the HTTP API, over keep-alive connections. */
import { Agent, request } from "node:http"
import { pause } from "../harness/Process.js"
import type { Session } from "../harness/Session.js"
import { quantile } from "../harness/Stats.js"
import { nextId } from "./Throughput.js"

export type Input = {
  readonly port: number
  readonly token: string
  readonly connections: number
  readonly millis: number
} & (
  | { readonly _tag: "Start" }
  /** Each connection asks, waits for the answer, and pauses. */
  | { readonly _tag: "Health"; readonly pauseMillis: number }
)

export interface Output {
  readonly perSecond: number
  /** From sending a request to having its answer, in milliseconds. */
  readonly median: number
  readonly p99: number
  readonly highest: number
}

interface Asked {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly body?: string
  readonly status: number
}

const start = (): Asked => ({
  method: "POST",
  path: "/runs",
  body: JSON.stringify({ workflow: "Steps", payload: { id: nextId() } }),
  status: 202
})

const health = (): Asked => ({ method: "GET", path: "/health", status: 200 })

export const open = async (_params: object): Promise<Session<Input, Output>> => {
  const agent = new Agent({ keepAlive: true })
  return {
    ask: async (input) => {
      agent.maxSockets = input.connections
      const latencies: Array<number> = []
      const began = performance.now()
      const connection = async () => {
        while (performance.now() < began + input.millis) {
          const sent = performance.now()
          await exchange(agent, input, input._tag === "Start" ? start() : health())
          latencies.push(performance.now() - sent)
          if (input._tag === "Health") await pause(input.pauseMillis)
        }
      }
      await Promise.all(Array.from({ length: input.connections }, connection))
      return {
        perSecond: (latencies.length * 1000) / (performance.now() - began),
        median: quantile(latencies, 0.5),
        p99: quantile(latencies, 0.99),
        highest: quantile(latencies, 1)
      }
    },
    close: async () => agent.destroy()
  }
}

const exchange = (agent: Agent, { port, token }: Input, asked: Asked) =>
  new Promise<void>((resolve, reject) => {
    const sent = request(
      {
        agent,
        port,
        host: "127.0.0.1",
        method: asked.method,
        path: asked.path,
        headers: {
          authorization: `Bearer ${token}`,
          ...(asked.body === undefined
            ? {}
            : {
                "content-type": "application/json",
                "content-length": Buffer.byteLength(asked.body)
              })
        }
      },
      (response) => {
        response.once("error", reject)
        response.resume()
        response.once("end", () =>
          response.statusCode === asked.status
            ? resolve()
            : reject(new Error(`${asked.method} ${asked.path}: ${response.statusCode}`))
        )
      }
    )
    sent.once("error", reject)
    sent.end(asked.body)
  })
