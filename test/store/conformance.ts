/** What every RunStore must do. A new implementation proves itself by passing this. */
import type * as Layer from "effect/Layer"
import { describe } from "vitest"
import type { RunStore, RunStoreError } from "../../src/RunStore.js"
import { changes } from "./conformance/changes.js"
import { claiming } from "./conformance/claiming.js"
import { creation } from "./conformance/creation.js"
import { fencing } from "./conformance/fencing.js"
import { finished } from "./conformance/finished.js"
import { keeping } from "./conformance/keeping.js"
import { leases } from "./conformance/leases.js"
import { model } from "./conformance/model.js"
import { queries } from "./conformance/queries.js"
import { steps } from "./conformance/steps.js"
import { suspension } from "./conformance/suspension.js"
import { texts } from "./conformance/texts.js"
import { wakeUps } from "./conformance/wakeUps.js"

/** `layer` gives each test a store of its own, empty. */
export const suite = (name: string, layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe(name, () => {
    creation(layer)
    claiming(layer)
    steps(layer)
    suspension(layer)
    keeping(layer)
    wakeUps(layer)
    fencing(layer)
    leases(layer)
    finished(layer)
    queries(layer)
    changes(layer)
    texts(layer)
    model(layer)
  })
}
