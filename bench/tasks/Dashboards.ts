/** Open dashboards, as the executor sees them: what the page of each asks for, and how often. */
import { Agent, get, type IncomingMessage } from "node:http"
import { pause } from "../harness/Process.js"
import type { Session } from "../harness/Session.js"

export interface Input {
  readonly port: number
  readonly token: string
  readonly dashboards: number
  readonly millis: number
}

export interface Output {
  /** Of all of them. */
  readonly requestsPerSecond: number
  readonly eventsPerSecond: number
}

/** What the overview asks for every so often, whatever happens; in milliseconds. */
const polls = [
  { path: "/metrics", every: 5_000 },
  { path: "/activity", every: 5_000 },
  { path: "/runs/counts", every: 10_000 },
  { path: "/executors", every: 10_000 }
]

/** What it asks for when it is told to look anew. */
const whole = ["/metrics", "/activity", "/runs/counts", "/runs?status=failed&limit=8"]

/** At most so often it counts while runs change; in milliseconds. */
const countsEvery = 1_000

/** Told so soon again to look anew, it does so this often, and nothing in between; in milliseconds. */
const busyFor = 10_000

export const open = async (_params: object): Promise<Session<Input, Output>> => {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  return {
    ask: async (input) => {
      const totals = { requests: 0, events: 0 }
      const began = performance.now()
      await Promise.all(
        Array.from({ length: input.dashboards }, (_, n) =>
          look(agent, input, began + (n * 1_000) / input.dashboards, totals)
        )
      )
      const seconds = (performance.now() - began) / 1_000
      return {
        requestsPerSecond: totals.requests / seconds,
        eventsPerSecond: totals.events / seconds
      }
    },
    close: async () => agent.destroy()
  }
}

interface Totals {
  requests: number
  events: number
}

/** One of them; it is opened at this time. */
const look = async (agent: Agent, input: Input, from: number, totals: Totals) => {
  const until = from + input.millis
  await pause(Math.max(0, from - performance.now()))
  const ask = async (path: string) => {
    totals.requests++
    await exchange(agent, input, path)
  }
  for (const path of whole) await ask(path)
  const due = polls.map(({ path, every }) => ({ path, every, at: performance.now() + every }))
  let countedAt = performance.now()
  let resetAt = Number.NEGATIVE_INFINITY
  let lookAt: number | undefined
  const stream = await listen(input)
  while (performance.now() < until) {
    await pause(100)
    const { events, hasReset, hasRun } = stream.taken()
    totals.events += events
    const now = performance.now()
    if (hasReset) {
      const isAgain = now - resetAt < busyFor
      resetAt = now
      if (lookAt === undefined) await Promise.all(whole.map(ask))
      if (isAgain) lookAt ??= now + busyFor
    }
    if (lookAt !== undefined) {
      if (now < lookAt) continue
      lookAt = now - resetAt < busyFor ? now + busyFor : undefined
      await Promise.all(whole.map(ask))
      continue
    }
    if (hasRun && now - countedAt >= countsEvery) {
      countedAt = now
      await ask("/runs/counts")
    }
    for (const poll of due.filter(({ at }) => at <= now)) {
      poll.at = now + poll.every
      await ask(poll.path)
    }
  }
  stream.close()
}

const headers = ({ token }: Input) => ({ authorization: `Bearer ${token}` })

const exchange = (agent: Agent, input: Input, path: string) =>
  new Promise<void>((resolve, reject) => {
    const sent = get(
      { agent, port: input.port, host: "127.0.0.1", path, headers: headers(input) },
      (response) => {
        response.once("error", reject)
        response.resume()
        response.once("end", () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`GET ${path}: ${response.statusCode}`))
        )
      }
    )
    sent.once("error", reject)
  })

/** The stream of events that a dashboard reads, as far as it matters what is in it. */
const listen = async (input: Input) => {
  let seen = { events: 0, hasRun: false, hasReset: false }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(
      { port: input.port, host: "127.0.0.1", path: "/events?digest=true", headers: headers(input) },
      resolve
    ).once("error", reject)
  })
  response.setEncoding("utf8")
  response.on("error", () => {})
  response.on("data", (text: string) => {
    seen = {
      events: seen.events + text.split("\nevent: ").length - 1,
      hasRun: seen.hasRun || text.includes("event: run\n"),
      hasReset: seen.hasReset || text.includes("event: reset\n")
    }
  })
  return {
    /** What has come since this was asked last. */
    taken: () => {
      const now = seen
      seen = { events: 0, hasRun: false, hasReset: false }
      return now
    },
    close: () => response.destroy()
  }
}
