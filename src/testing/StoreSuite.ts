/**
 * What every RunStore must do. A new implementation proves itself by passing this.
 *
 * For a test file of Vitest: `suite` declares its tests. They are about what `RunStore.ts` and its
 * parts say, in the order of that; time is TestClock's, but for those about two stores at once.
 */
import type * as Layer from "effect/Layer"
import { describe } from "vitest"
import type { RunStore, RunStoreError } from "../store/RunStore.js"
import { arrivals } from "./conformance/Arrivals.js"
import { bulk } from "./conformance/Bulk.js"
import { bytes } from "./conformance/Bytes.js"
import { changes } from "./conformance/Changes.js"
import { claiming } from "./conformance/Claiming.js"
import { crashes } from "./conformance/Crashes.js"
import { creation } from "./conformance/Creation.js"
import { facts } from "./conformance/Facts.js"
import { fencing } from "./conformance/Fencing.js"
import { finished } from "./conformance/Finished.js"
import { interleavings, type Pair } from "./conformance/Interleavings.js"
import { keeping } from "./conformance/Keeping.js"
import { leases } from "./conformance/Leases.js"
import { model } from "./conformance/Model.js"
import { pauses } from "./conformance/Pauses.js"
import { queries } from "./conformance/Queries.js"
import { queues } from "./conformance/Queues.js"
import { schedules } from "./conformance/Schedules.js"
import { signals } from "./conformance/Signals.js"
import { startOptions } from "./conformance/StartOptions.js"
import { steps } from "./conformance/Steps.js"
import { suspension } from "./conformance/Suspension.js"
import { terminating } from "./conformance/Terminating.js"
import { texts } from "./conformance/Texts.js"
import { wakeUps } from "./conformance/WakeUps.js"

export type { Pair }

/**
 * @param layer gives each test a store of its own, empty
 * @param pair opens two stores on one empty database, as two executors would; without it their
 * interleavings are not tested
 *
 * @example
 * StoreSuite.suite("on my database", MyRunStore.layer, openTwo)
 */
export const suite = (
  name: string,
  layer: Layer.Layer<RunStore, RunStoreError>,
  pair?: Pair | undefined
): void => {
  describe(name, () => {
    creation(layer)
    claiming(layer)
    startOptions(layer)
    queues(layer)
    arrivals(layer)
    pauses(layer)
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
    schedules(layer)
    queries(layer)
    bulk(layer)
    bytes(layer)
    changes(layer)
    texts(layer)
    model(layer)
    if (pair !== undefined) interleavings(pair)
  })
}
