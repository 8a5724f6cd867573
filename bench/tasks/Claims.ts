/** What a claim of one run costs on PostgreSQL, and the runs among which it is found. */
import { Effect, ManagedRuntime, Redacted } from "effect"
import * as PostgresRunStore from "../../src/store/postgres/PostgresRunStore.js"
import { type NewRun, RunStore } from "../../src/store/RunStore.js"
import { collectGarbage } from "../harness/Process.js"
import type { Session } from "../harness/Session.js"
import * as PostgresCopies from "../seed/PostgresCopies.js"

export type Input =
  /** Each of a run that has just come; in milliseconds, from its call to the run. */
  | { readonly _tag: "Claim"; readonly claims: number }
  | { readonly _tag: "Fill"; readonly finished: number; readonly sleeping: number }

const workflow = "Claimed"

const exit = `{"_tag":"Success"}`

export const open = async (params: {
  readonly url: string
  readonly schema: string
}): Promise<Session<Input, ReadonlyArray<number>>> => {
  const { schema } = params
  const runtime = ManagedRuntime.make(
    PostgresRunStore.layerUrl({ url: Redacted.make(params.url), schema })
  )
  const store = await runtime.runPromise(RunStore)
  const executor = await runtime.runPromise(
    store.register({ host: "bench", pid: process.pid, leaseMillis: 60 * 60 * 1_000 })
  )
  let created = 0
  const create = (run: Partial<NewRun> = {}, by?: number) => {
    const runId = `run-${created++}`
    return Effect.map(
      store.create({ runId, workflow, payload: `{"id":"${runId}"}`, ...run }, by),
      ({ claimed }) => ({ runId, claimed })
    )
  }

  const claim = Effect.gen(function* () {
    yield* create()
    const began = performance.now()
    const runs = yield* store.claim({ executor, workflows: [workflow], limit: 64 })
    const millis = performance.now() - began
    if (runs.length !== 1) return yield* Effect.dieMessage(`${runs.length} runs were claimed`)
    for (const { held } of runs) yield* store.complete({ held, status: "completed", exit })
    return millis
  })

  const fill = (input: { readonly finished: number; readonly sleeping: number }) =>
    Effect.gen(function* () {
      const over = yield* create({}, executor)
      if (over.claimed === undefined) return yield* Effect.dieMessage("it was not claimed")
      const { held } = over.claimed
      yield* store.recordStep({
        ...{ held, name: "step", attempt: 1, status: "completed", exit },
        ...{ startedAt: 1, completedAt: 2, timers: [] }
      })
      yield* store.complete({ held, status: "completed", exit })
      const sleeps = yield* create({ options: { startAt: 9e12 } })
      yield* Effect.promise(() =>
        PostgresCopies.add({
          ...params,
          finished: { runId: over.runId, count: input.finished },
          sleeping: { runId: sleeps.runId, count: input.sleeping }
        })
      )
    })

  return {
    ask: async (input) => {
      collectGarbage()
      if (input._tag === "Claim") {
        return runtime.runPromise(Effect.replicateEffect(claim, input.claims))
      }
      await runtime.runPromise(fill(input))
      return []
    },
    close: () => runtime.dispose()
  }
}
