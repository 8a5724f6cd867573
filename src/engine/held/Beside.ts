/**
 * Work that is done beside runs, piece by piece, for which a drain waits as it does for steps: no
 * piece is begun any more, those under way have until the deadline, and are interrupted then.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Elapsed from "../../internal/Elapsed.js"
import { within } from "../../internal/Within.js"

export interface Beside {
  /**
   * Waits for a piece of work, and does it. `isBegun` says when it is more than a wait: one that only
   * waits is ended when the drain begins, and never comes back.
   */
  readonly piece: <A, E, R>(
    work: Effect.Effect<A, E, R>,
    isBegun: () => boolean
  ) => Effect.Effect<A, E, R>
  /** No piece is begun any more. */
  readonly close: () => void
  /** Closes, and waits for what is under way, until the deadline (as `Elapsed.now`). */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

interface Piece {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly isBegun: () => boolean
}

/**
 * @param name what its pieces are, for the log
 * @param grace how long what is interrupted may take to end
 */
export const make = (name: string, grace: Duration.Duration): Beside => {
  const pieces = new Set<Piece>()
  let closed = false

  const piece: Beside["piece"] = (work, isBegun) =>
    Effect.suspend(() => {
      if (closed) return Effect.never
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.fork(Effect.interruptible(work)), (fiber) => {
          const one: Piece = { fiber, isBegun }
          pieces.add(one)
          fiber.addObserver(() => pieces.delete(one))
          return restore(Fiber.await(fiber)).pipe(
            Effect.onInterrupt(() => Fiber.interrupt(fiber)),
            // one that was ended for the drain has nothing to say
            Effect.flatMap((exit) =>
              closed && Exit.isInterrupted(exit) ? restore(Effect.never) : exit
            )
          )
        })
      )
    })

  const close = () => {
    if (closed) return
    closed = true
    for (const { fiber, isBegun } of pieces) {
      if (!isBegun()) fiber.unsafeInterruptAsFork(fiber.id())
    }
  }

  const ended = Effect.suspend(() =>
    Effect.forEach([...pieces], ({ fiber }) => Fiber.await(fiber), { discard: true })
  )

  const haveEnded = (duration: Duration.Duration) =>
    Effect.map(within(duration)(ended), Option.isSome)

  return {
    piece,
    close,
    drain: (deadline) =>
      Effect.gen(function* () {
        close()
        const remaining = Math.max(0, deadline - (yield* Elapsed.now))
        if (yield* haveEnded(Duration.millis(remaining))) return
        yield* Effect.logWarning(`stop timeout: ${name} interrupted`).pipe(
          Effect.annotateLogs({ count: pieces.size })
        )
        for (const { fiber } of pieces) fiber.unsafeInterruptAsFork(fiber.id())
        if (yield* haveEnded(grace)) return
        yield* Effect.logError(`stop timeout: ${name} that cannot be interrupted were left behind`)
      })
  }
}
