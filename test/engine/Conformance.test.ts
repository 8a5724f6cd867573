import { WorkflowEngine } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { conformance } from "./conformance.js"
import { layerFile, layerMemory, temporaryFile } from "./support.js"

conformance("in memory", { layer: layerMemory() })

conformance("over a SQLite file", {
  layer: Layer.unwrapScoped(Effect.map(temporaryFile, (filename) => layerFile(filename)))
})

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
