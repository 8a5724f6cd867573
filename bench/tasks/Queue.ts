/** What a claim costs where many runs wait in one queue, and what it costs to put one there. */
import { Effect, ManagedRuntime } from "effect"
import { type NewRun, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { collectGarbage } from "../harness/Process.js"
import type { Session } from "../harness/Session.js"

export interface Input {
  /** Claims, each of up to `limit` runs, which are over before the next. */
  readonly claims: number
}

export interface Output {
  /** Milliseconds of each claim, from its call to the runs with their histories. */
  readonly claimMillis: ReadonlyArray<number>
  /** How many runs they have claimed. */
  readonly claimed: number
  /** From all runs that were put there at first. */
  readonly putMicros: number
}

export interface Params {
  readonly filename: string
  readonly waiting: number
  readonly keys: number
  /** Under way at a time, and claimed at a time. */
  readonly limit: number
}

const workflow = "Queued"

const toRun = (n: number, { keys, limit }: Params): NewRun => ({
  runId: `run-${n}`,
  workflow,
  payload: `{"id":"${n}"}`,
  queue: { name: workflow, key: `key-${n % keys}`, limits: { concurrency: limit, perKey: 1 } }
})

const put = (params: Params) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const began = performance.now()
    const numbers = Array.from({ length: params.waiting }, (_, n) => n)
    yield* Effect.forEach(numbers, (n) => store.create(toRun(n, params)), {
      concurrency: 500,
      discard: true
    })
    return ((performance.now() - began) * 1000) / params.waiting
  })

const claims = (executor: number, { limit }: Params, { claims }: Input) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    const claimMillis: Array<number> = []
    let claimed = 0
    collectGarbage()
    while (claimMillis.length < claims) {
      const began = performance.now()
      const runs = yield* store.claim({ executor, workflows: [workflow], limit })
      claimMillis.push(performance.now() - began)
      claimed += runs.length
      yield* Effect.forEach(
        runs,
        ({ held }) => store.complete({ held, status: "completed", exit: `{"_tag":"Success"}` }),
        { concurrency: "unbounded", discard: true }
      )
    }
    return { claimMillis, claimed }
  })

export const open = async (params: Params): Promise<Session<Input, Output>> => {
  const runtime = ManagedRuntime.make(SqliteRunStore.layerFile({ filename: params.filename }))
  const leaseMillis = 60 * 60 * 1_000
  const { executor, putMicros } = await runtime.runPromise(
    Effect.gen(function* () {
      const store = yield* RunStore
      return {
        executor: yield* store.register({ host: "bench", pid: process.pid, leaseMillis }),
        putMicros: yield* put(params)
      }
    })
  )
  return {
    ask: async (input) => ({
      ...(await runtime.runPromise(claims(executor, params, input))),
      putMicros
    }),
    close: () => runtime.dispose()
  }
}
