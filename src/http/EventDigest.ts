/**
 * Events for those who look: each of them while they are few. Where there are more than anybody reads,
 * the rest of a moment is left out, and told of by a `reset`. So what they cost does not grow with what
 * the executor does: it is one listener for all of them.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Event, Events, Start } from "../events/Events.js"
import * as KeepGoing from "../internal/KeepGoing.js"

/** Milliseconds. */
const moment = 500

/** So many events are told within it. */
const most = 20

/** Where there were more in the moment before: enough to see that something happens. */
const mostOfMany = 2

/** Who has been told that something was left out looks anew, so that is not told without end. */
const betweenResets = Duration.seconds(3)

export interface Looking {
  readonly tell: (event: Event) => void
  /** Something was left out, up to the event of this sequence. */
  readonly leftOut: (position: number) => void
}

export interface EventDigest {
  readonly add: (looking: Looking, after: string | undefined) => Start
  readonly remove: (looking: Looking) => void
}

export const make = (events: Events["Type"]) =>
  Effect.gen(function* () {
    const all = new Set<Looking>()
    const isLeftOut = yield* Effect.makeLatch(false)
    let current = -1
    let limit = most
    /** Of this moment. */
    let count = 0

    const isTold = (event: Event) => {
      const now = Math.floor(event.at / moment)
      // they do not come in the order of their times: one of a moment before begins no other, unless the
      // clock was put back
      if (now > current || now < current - 10) {
        limit = now === current + 1 && count > most ? mostOfMany : most
        current = now
        count = 0
      }
      return event.type === "executor" || ++count <= limit
    }

    const offer = (event: Event) => {
      if (all.size === 0) return true
      if (isTold(event)) for (const looking of all) looking.tell(event)
      else isLeftOut.unsafeOpen()
      return true
    }

    const round = Effect.gen(function* () {
      yield* isLeftOut.await
      // the moment is to be over: of what comes in it, too, nothing more is told
      yield* Effect.sleep(Duration.millis(moment))
      isLeftOut.unsafeClose()
      for (const looking of all) looking.leftOut(events.position())
      yield* Effect.sleep(betweenResets)
    })

    yield* events.listen({ offer })
    yield* Effect.forkScoped(KeepGoing.forever("telling that events were left out", round))

    const startOf = (after: string | undefined): Start => {
      const missed = after === undefined ? [] : events.since(after)
      return {
        position: events.position(),
        missed: missed === undefined || missed.length > most ? undefined : missed,
        since: undefined
      }
    }

    const digest: EventDigest = {
      add: (looking, after) => {
        all.add(looking)
        return startOf(after)
      },
      remove: (looking) => {
        all.delete(looking)
      }
    }
    return digest
  })
