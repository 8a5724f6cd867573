/** The queues that runs wait in: what they are, and how they are changed. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  type ChangeQueueRequest,
  InvalidLimits,
  QueueLimitsView,
  QueueNotFound,
  type QueueView
} from "../../api/Queues.js"
import type { QueueInfo, QueueLimits, RunStore } from "../../store/RunStore.js"
import { explain } from "./Definitions.js"

const viewLimits = ({ concurrency, keepsSlot, perKey, rate }: QueueLimits): QueueLimitsView => ({
  ...(concurrency === undefined ? {} : { concurrency }),
  ...(perKey === undefined ? {} : { concurrencyPerKey: perKey }),
  ...(rate === undefined ? {} : { rateLimit: rate }),
  ...(keepsSlot === undefined ? {} : { keepSlot: keepsSlot })
})

const limitsOf = (view: QueueLimitsView): QueueLimits => ({
  ...(view.concurrency === undefined ? {} : { concurrency: view.concurrency }),
  ...(view.concurrencyPerKey === undefined ? {} : { perKey: view.concurrencyPerKey }),
  ...(view.rateLimit === undefined ? {} : { rate: view.rateLimit }),
  ...(view.keepSlot === true ? { keepsSlot: true } : {})
})

const view = ({ declared, override, parks, ...info }: QueueInfo): QueueView => ({
  ...info,
  ...(parks === true ? { park: true } : {}),
  declared: viewLimits(declared),
  ...(override === undefined ? {} : { override: viewLimits(override) })
})

/** In this process nobody has looked at them yet. */
const checked = (limits: unknown) =>
  Schema.decodeUnknown(QueueLimitsView)(limits, { onExcessProperty: "error" }).pipe(
    Effect.mapError((error) => new InvalidLimits({ message: explain(error) }))
  )

export const make = (store: RunStore["Type"]) => ({
  queues: Effect.map(store.queues, (queues) => queues.map(view)),
  changeQueue: Effect.fnUntraced(function* ({ limits, name, park, paused }: ChangeQueueRequest) {
    if (park === true && paused !== true) {
      return yield* new InvalidLimits({ message: "park goes with paused: true" })
    }
    const override =
      limits === undefined || limits === null ? limits : limitsOf(yield* checked(limits))
    const found = yield* store.changeQueue({ name, override, paused, parks: park })
    if (!found) {
      return yield* new QueueNotFound({
        name,
        message: `There is no queue ${JSON.stringify(name)}: no run was started in one of that name`
      })
    }
    yield* Effect.logInfo("queue changed").pipe(
      Effect.annotateLogs({
        queue: name,
        ...(limits === undefined ? {} : { limits: JSON.stringify(limits) }),
        ...(paused === undefined ? {} : { paused }),
        ...(park === true ? { park } : {})
      })
    )
  })
})
