import { WorkflowEngine } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { conformance } from "./conformance.js"
import { layerFile, layerMemory, temporaryFile } from "./support.js"

const onFile = (options: Parameters<typeof layerFile>[1] = {}) =>
  Layer.unwrapScoped(Effect.map(temporaryFile, (filename) => layerFile(filename, options)))

/** What ends a pass that waits, and has it replayed. */
const whenCut = Object.fromEntries(
  [
    "a signal that comes while the run is suspending is not lost",
    "a child that ends while the activity that waits for it cleans up wakes the parent"
  ].map((behaviour) => [behaviour, "a run that waits is not cut"])
)

conformance("in memory", { layer: layerMemory(), keepsRuns: true, skip: whenCut })

conformance("over a SQLite file", { layer: onFile(), keepsRuns: true, skip: whenCut })

conformance("in memory, no run kept while it waits", { layer: layerMemory({ maxWarmRuns: 0 }) })

conformance("over a SQLite file, no run kept while it waits", { layer: onFile({ maxWarmRuns: 0 }) })

// That the expectations are @effect/workflow's own, and where its memory engine falls short of them.
conformance("@effect/workflow's own memory engine", {
  layer: WorkflowEngine.layerMemory,
  callersPoll: true,
  skip: {
    "a caller is woken by the result, and no time passes until then":
      "a caller looks again after a while, and is not woken",
    "a step started twice in parallel executes once": "it executes twice",
    ...Object.fromEntries(
      [
        "a signal wins at once against a step in flight (plain)",
        "a signal wins at once against a step in flight (mapped)",
        "a signal wins at once against a step in flight (into)",
        "a branch of two awaits goes through both while a step is in flight",
        "a branch that has executed a step before its await is woken",
        "a durable clock wins against a step in flight when it is due"
      ].map((behaviour) => [behaviour, "noticed only when the step in flight has ended"])
    ),
    "a signal that comes while the run is suspending is not lost": "the wake-up is lost",
    "two parents of one child are both woken by its end": "only the first parent is woken",
    "a child that ends while the activity that waits for it cleans up wakes the parent":
      "the wake-up is lost"
  }
})
