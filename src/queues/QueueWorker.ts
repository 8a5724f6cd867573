/**
 * The worker of a `DurableQueue`, which is drained as steps are: when a drain begins it takes nothing
 * more, and what it is at has until the stop timeout to end. What is cut then goes back to the queue.
 *
 * `DurableQueue.worker` of `@effect/workflow` knows of no drain: it is interrupted in the middle of
 * what it is at.
 */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import * as DurableQueue from "@effect/workflow/DurableQueue"
import type { WorkflowEngine } from "@effect/workflow/WorkflowEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type { Beside } from "../engine/held/Beside.js"
import { Dispatcher } from "../engine/held/Dispatcher.js"

/** Whose elements are taken as pieces of this work. */
const takingAs = (
  factory: PersistedQueue.PersistedQueueFactory["Type"],
  { piece }: Beside
): PersistedQueue.PersistedQueueFactory["Type"] => ({
  make: (options) =>
    Effect.map(factory.make(options), (queue) => ({
      ...queue,
      take: (use, options) =>
        Effect.suspend(() => {
          let begun = false
          const taken = queue.take((value, metadata) => {
            begun = true
            return use(value, metadata)
          }, options)
          return piece(taken, () => begun)
        })
    }))
})

/**
 * Processes the elements of a queue. Give it among the workflows of an executor, or anywhere above it;
 * the queues are those of the `PersistedQueueFactory`, such as `SqlitePersistedQueue.layerFile`.
 *
 * @param options.concurrency how many at a time. Default: 1
 *
 * @example
 * const MailsLive = QueueWorker.layer(Mails, ({ to }) => sendMail(to), { concurrency: 5 })
 */
export const layer = <
  Payload extends Schema.Schema.Any,
  Success extends Schema.Schema.Any,
  Error extends Schema.Schema.All,
  R
>(
  queue: DurableQueue.DurableQueue<Payload, Success, Error>,
  process: (payload: Payload["Type"]) => Effect.Effect<Success["Type"], Error["Type"], R>,
  options?: { readonly concurrency?: number | undefined } | undefined
): Layer.Layer<
  never,
  never,
  | Dispatcher
  | WorkflowEngine
  | PersistedQueue.PersistedQueueFactory
  | R
  | Payload["Context"]
  | Success["Context"]
  | Error["Context"]
> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const dispatcher = yield* Dispatcher
      const factory = yield* PersistedQueue.PersistedQueueFactory
      yield* dispatcher.releases.beside(`elements of queue "${queue.name}"`, (beside) =>
        Effect.provideService(
          DurableQueue.makeWorker(queue, process, options),
          PersistedQueue.PersistedQueueFactory,
          takingAs(factory, beside)
        )
      )
    })
  )
