/**
 * A latch that is made when somebody first waits at it: every run and every step has one, and only
 * the branches of a workflow wait at it, for each other, when it suspends.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"

export class LazyLatch extends Effectable.Class<void> implements Effect.Latch {
  private made: Effect.Latch | undefined = undefined
  private isOpen = false

  override commit(): Effect.Effect<void> {
    return this.await
  }

  get open(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isOpen = true
      return this.made === undefined ? Effect.void : this.made.open
    })
  }

  get release(): Effect.Effect<void> {
    return Effect.suspend(() => (this.made === undefined ? Effect.void : this.made.release))
  }

  get await(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.made ??= Effect.unsafeMakeLatch(this.isOpen)
      return this.made.await
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.unsafeClose())
  }

  whenOpen<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.zipRight(this.await, self)
  }

  unsafeOpen(): void {
    this.isOpen = true
    this.made?.unsafeOpen()
  }

  unsafeClose(): void {
    this.isOpen = false
    this.made?.unsafeClose()
  }
}
