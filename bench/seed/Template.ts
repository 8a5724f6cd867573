/**
 * One run of each kind, made by the executor itself, so that what is copied from it is what the
 * executor writes.
 */
import { Effect, Layer } from "effect"
import * as Executor from "../../src/Executor.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import { until } from "../harness/Process.js"
import * as Runtime from "../harness/Runtime.js"
import * as Workflows from "../Workflows.js"

/**
 * - `finished`: of three steps that are recorded.
 * - `pending`: of `Gated`, not begun.
 * - `begun`: of `Gated`; its first step is recorded, its second was cut; pending.
 * - `sleeping`: suspended, until its timer is due in a day.
 */
export type Kind = "pending" | "finished" | "begun" | "sleeping"

export interface Template {
  readonly runId: string
  /** In its payload. */
  readonly id: string
}

const layer = (filename: string, told: () => void) => {
  const tell = () => told()
  const workflows = Layer.mergeAll(
    Workflows.stepsLayer({ steps: 3, made: "once" }),
    Workflows.sleeperLayer({ waiting: tell, woken: tell }),
    Workflows.gatedLayer({ first: () => {}, inFlight: tell, gate: Effect.never })
  )
  return {
    executing: Executor.layerCore({ workflows }),
    idle: Layer.provideMerge(workflows, Executor.layerEngine),
    below: Layer.merge(
      SqliteRunStore.layerFile({ filename }),
      RunnerConfig.layer({ stopTimeout: 0, stopGrace: 100 })
    )
  }
}

export const make = async (filename: string, kind: Kind): Promise<Template> => {
  const id = `template-${kind}`
  let told = false
  const layers = layer(filename, () => {
    told = true
  })
  const base = kind === "pending" ? layers.idle : layers.executing
  const runtime = await Runtime.make(Layer.provide(base, layers.below), "None")
  const discard = { discard: true } as const
  const start: Record<Kind, () => Promise<string>> = {
    pending: () => runtime.run(Workflows.Gated.execute({ id }, discard)),
    finished: async () => {
      await runtime.run(Workflows.Steps.execute({ id }))
      return runtime.run(Workflows.Steps.executionId({ id }))
    },
    begun: async () => {
      const runId = await runtime.run(Workflows.Gated.execute({ id }, discard))
      await until(() => told)
      return runId
    },
    sleeping: async () => {
      const runId = await runtime.run(Workflows.Sleeper.execute({ id }, discard))
      const poll = Workflows.Sleeper.poll(runId)
      while ((await runtime.run(poll))?._tag !== "Suspended") await runtime.run(Effect.sleep(5))
      return runId
    }
  }
  const runId = await start[kind]()
  await runtime.dispose()
  return { runId, id }
}
