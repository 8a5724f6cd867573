/** What every RunStore must do. A new implementation proves itself by passing this. */
import type * as Layer from "effect/Layer"
import { describe } from "vitest"
import type { RunStore, RunStoreError } from "../../src/store/RunStore.js"
import { bytes } from "./conformance/bytes.js"
import { changes } from "./conformance/changes.js"
import { claiming } from "./conformance/claiming.js"
import { crashes } from "./conformance/crashes.js"
import { creation } from "./conformance/creation.js"
import { facts } from "./conformance/facts.js"
import { fencing } from "./conformance/fencing.js"
import { finished } from "./conformance/finished.js"
import { keeping } from "./conformance/keeping.js"
import { leases } from "./conformance/leases.js"
import { model } from "./conformance/model.js"
import { queries } from "./conformance/queries.js"
import { signals } from "./conformance/signals.js"
import { steps } from "./conformance/steps.js"
import { suspension } from "./conformance/suspension.js"
import { terminating } from "./conformance/terminating.js"
import { texts } from "./conformance/texts.js"
import { wakeUps } from "./conformance/wakeUps.js"

/** `layer` gives each test a store of its own, empty. */
export const suite = (name: string, layer: Layer.Layer<RunStore, RunStoreError>) => {
  describe(name, () => {
    creation(layer)
    claiming(layer)
    steps(layer)
    facts(layer)
    suspension(layer)
    keeping(layer)
    wakeUps(layer)
    fencing(layer)
    leases(layer)
    crashes(layer)
    finished(layer)
    terminating(layer)
    signals(layer)
    queries(layer)
    bytes(layer)
    changes(layer)
    texts(layer)
    model(layer)
  })
}
