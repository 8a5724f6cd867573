/**
 * The bundled example: an order that is reserved, charged, approved and shipped.
 *
 * Every Activity is a step. Once its outcome is recorded it never executes again, whatever happens
 * to the process. The code between the steps does: it is replayed when the run goes on.
 */
import { Activity, DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import { Duration, Effect, Layer, Schema } from "effect"
import { Signals } from "effect-workflow-executor"

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  message: Schema.String
}) {}

export class CardNotCharged extends Schema.TaggedError<CardNotCharged>()("CardNotCharged", {
  message: Schema.String
}) {}

export class NotApproved extends Schema.TaggedError<NotApproved>()("NotApproved", {
  reason: Schema.Literal("refused", "too late"),
  message: Schema.String
}) {}

/** What a person says to the order: a signal. */
export const Approval = DurableDeferred.make("Approval", {
  success: Schema.Literal("approved", "refused")
})

export const Order = Workflow.make({
  name: "Order",
  payload: Schema.Struct({
    orderId: Schema.String,
    quantity: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { default: () => 1 }),
    /** Seconds that the approval may take. */
    approveWithin: Schema.optionalWith(Schema.Positive, { default: () => 600 })
  }),
  success: Schema.Struct({ receipt: Schema.String, parcel: Schema.String }),
  error: Schema.Union(OutOfStock, CardNotCharged, NotApproved),
  // the same order, started twice, is one run
  idempotencyKey: ({ orderId }) => orderId
}).annotate(Signals, [Approval])

/**
 * Stands in for the clients of a real shop. It is acquired before the first step and released after
 * the last one, also on Ctrl-C.
 */
export class Shop extends Effect.Service<Shop>()("examples/Shop", {
  scoped: Effect.gen(function* () {
    yield* Effect.acquireRelease(Effect.logInfo("shop: connected"), () =>
      Effect.logInfo("shop: connection closed")
    )
    const work = (what: string) =>
      Effect.zipRight(Effect.sleep("2 seconds"), Effect.logInfo(`shop: ${what}`))
    return {
      reserve: (quantity: number) =>
        quantity > 100
          ? new OutOfStock({ message: `${quantity} are more than there are` })
          : Effect.as(work(`${quantity} reserved`), `reservation of ${quantity}`),
      // the bank is never there at once
      charge: (key: string, attempt: number) =>
        attempt === 1
          ? Effect.zipRight(
              work("the bank does not answer"),
              new CardNotCharged({ message: "the bank does not answer" })
            )
          : Effect.as(work("card charged"), `receipt ${key.slice(0, 8)}`),
      ship: (orderId: string) => Effect.as(work("shipped"), `parcel of ${orderId}`),
      release: (reservation: string) => work(`${reservation} released`),
      refund: (receipt: string) => work(`${receipt} refunded`)
    }
  })
}) {}

const OrderWorkflow = Order.toLayer(({ approveWithin, orderId, quantity }, runId) =>
  Effect.gen(function* () {
    const shop = yield* Shop

    // A compensation executes when the run fails after this, and only then: a shutdown, a crash or
    // a lost lease is not a failure. Those of several steps execute last one first.
    yield* Activity.make({
      name: "reserve",
      success: Schema.String,
      error: OutOfStock,
      execute: shop.reserve(quantity)
    }).pipe(
      Order.withCompensation((reservation) =>
        Activity.make({ name: "release", execute: shop.release(reservation) })
      )
    )

    // Each attempt is a step of its own. A process that dies in the middle of one leaves no record,
    // and the attempt executes again: by the run's id the bank sees that it is the same charge.
    const receipt = yield* Activity.make({
      name: "charge",
      success: Schema.String,
      error: CardNotCharged,
      execute: Effect.flatMap(Activity.CurrentAttempt, (attempt) => shop.charge(runId, attempt))
    }).pipe(
      Activity.retry({ times: 3 }),
      Order.withCompensation((receipt) =>
        Activity.make({ name: "refund", execute: shop.refund(receipt) })
      )
    )

    // The first one decides, and its decision is recorded: replayed, it is the same one again, also
    // when the other has come in the meantime. The run is a row in the store while it waits here.
    const decision = yield* DurableDeferred.raceAll({
      name: "decision",
      success: Schema.Literal("approved", "refused", "too late"),
      error: Schema.Never,
      effects: [
        DurableDeferred.await(Approval),
        DurableClock.sleep({ name: "deadline", duration: Duration.seconds(approveWithin) }).pipe(
          Effect.as("too late" as const)
        )
      ]
    })
    if (decision !== "approved") {
      return yield* new NotApproved({ reason: decision, message: `${orderId}: ${decision}` })
    }

    const parcel = yield* Activity.make({
      name: "ship",
      success: Schema.String,
      execute: shop.ship(orderId)
    })
    return { receipt, parcel }
  })
)

export default OrderWorkflow.pipe(Layer.provide(Shop.Default))
