/**
 * Waits of a workflow, in place: for a signal, a timer or a child, or for nothing that this executor
 * would let happen. The workflow never sees one; a fiber that waits is a fiber that waits, and goes
 * on where it is when what it waits for is there.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Fibers from "./Fibers.js"
import type { Quiescence } from "./Quiescence.js"

/** What it waits for: a value that is there, or when it will be, or neither. */
export type Look<A> = (
  now: number
) =>
  | { readonly _tag: "There"; readonly value: A }
  | { readonly _tag: "At"; readonly time: number }
  | { readonly _tag: "Unknown" }

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** A fiber that waits. */
export interface Waiting {
  readonly fiber: AnyFiber
  /** Looks whether it is there by now, and goes on if it is. */
  readonly look: () => void
  /** Ends it: the pass was ended from outside. */
  readonly cut: () => void
  /** When it goes on by itself, if that is known. */
  readonly dueAt: number | undefined
  /** When it began. */
  readonly since: number
}

/** Whose waits they are. */
export interface Waiter {
  readonly fiber: AnyFiber
  readonly quiescence: Quiescence
}

export interface WaitsOptions {
  /** What a fiber that sleeps for a timer starts with. */
  readonly origin: Fibers.Origin
  /** Due timers are left to whoever wakes the run: it is suspended. */
  readonly isWoken: () => boolean
  /** The pass was ended from outside. */
  readonly isEnded: () => boolean
  /** The pass's own fiber is over. */
  readonly isOver: () => boolean
}

/** All that waits in one pass. */
export class Waits {
  private readonly all = new Set<Waiting>()
  private readonly byKey = new Map<string, Set<Waiting>>()

  constructor(private readonly options: WaitsOptions) {}

  get size(): number {
    return this.all.size
  }

  /** How many things are waited for. */
  get keyCount(): number {
    return this.byKey.size
  }

  /** What is waited for, and since when. */
  *keys(): Iterable<{ readonly key: string; readonly since: number }> {
    for (const [key, [one]] of this.byKey) if (one !== undefined) yield { key, since: one.since }
  }

  /** There may be news for those who wait for this. */
  tell(key: string): void {
    const waiting = this.byKey.get(key)
    if (waiting === undefined) return
    for (const one of [...waiting]) one.look()
  }

  /** There may be news for all: for those who wait for timers, the time. */
  tellAll(): void {
    for (const one of [...this.all]) one.look()
  }

  tellSleepers(): void {
    for (const one of [...this.all]) if (one.dueAt !== undefined) one.look()
  }

  /** The earliest time at which one of them goes on by itself. */
  nextDue(): number | undefined {
    let next: number | undefined
    for (const { dueAt } of this.all) {
      if (dueAt !== undefined && (next === undefined || dueAt < next)) next = dueAt
    }
    return next
  }

  /** What waits now. */
  now(): ReadonlyArray<Waiting> {
    return [...this.all]
  }

  /** Ends those of them that still wait and whose fibers are interrupted, where that is not let in. */
  cutInterrupted(waiting: ReadonlyArray<Waiting>): void {
    for (const one of waiting) if (isInterrupted(one.fiber)) one.cut()
  }

  /** Ends those of them that still wait, and interrupts their fibers. */
  cut(waiting: ReadonlyArray<Waiting>): void {
    for (const one of waiting) {
      if (!this.all.has(one)) continue
      one.fiber.unsafeInterruptAsFork(one.fiber.id())
      one.cut()
    }
  }

  /** Waits until it is there. */
  wait<A>(waiter: Waiter, key: string, look: Look<A>, clock: Clock.Clock): Effect.Effect<A> {
    return Effect.suspend(() => {
      const found = look(clock.unsafeCurrentTimeMillis())
      if (found._tag === "There") return Effect.succeed(found.value)
      return this.isCut(waiter) ? Effect.interrupt : this.inPlace(waiter, key, look, clock)
    })
  }

  /** Stays where it is, until the pass is ended. */
  stay(waiter: Waiter): Effect.Effect<never> {
    return Effect.suspend(() => {
      if (this.isCut(waiter)) return Effect.interrupt
      return Effect.async<never>((resume) => {
        const { fiber, quiescence } = waiter
        const one: Waiting = {
          fiber,
          dueAt: undefined,
          since: 0,
          look: () => {},
          cut: () => {
            if (!this.all.delete(one)) return
            quiescence.goOn()
            resume(Effect.interrupt)
          }
        }
        this.all.add(one)
        quiescence.rest(fiber)
        return Effect.sync(() => {
          if (this.all.delete(one)) quiescence.goOn()
        })
      })
    })
  }

  /** In a pass that was ended nothing waits any more, but for what its own fiber will interrupt. */
  private isCut({ fiber }: Waiter): boolean {
    return this.options.isEnded() && (isInterrupted(fiber) || this.options.isOver())
  }

  private inPlace<A>(
    { fiber, quiescence }: Waiter,
    key: string,
    look: Look<A>,
    clock: Clock.Clock
  ): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      const { options } = this
      let disarm: (() => void) | undefined
      const remove = () => {
        if (!this.all.delete(one)) return false
        this.forget(key, one)
        disarm?.()
        quiescence.goOn()
        return true
      }
      /** Goes on if it is there; else sees that it looks again when it will be. */
      const again = () => {
        const found = look(clock.unsafeCurrentTimeMillis())
        if (found._tag === "There") {
          if (remove()) resume(Effect.succeed(found.value))
          return
        }
        one.dueAt = found._tag === "At" ? found.time : undefined
        if (found._tag === "At" && disarm === undefined) disarm = arm(found.time)
      }
      const arm = (time: number) =>
        at(time, clock, options.origin, () => {
          disarm = undefined
          if (!options.isWoken()) again()
        })
      const one = {
        fiber,
        dueAt: undefined as number | undefined,
        since: clock.unsafeCurrentTimeMillis(),
        look: again,
        cut: () => {
          if (remove()) resume(Effect.interrupt)
        }
      }
      this.all.add(one)
      const others = this.byKey.get(key)
      if (others === undefined) this.byKey.set(key, new Set([one]))
      else others.add(one)
      quiescence.rest(fiber)
      // it is armed now, or there since it was looked for
      again()
      return Effect.sync(() => void remove())
    })
  }

  private forget(key: string, one: Waiting): void {
    const others = this.byKey.get(key)
    if (others?.delete(one) && others.size === 0) this.byKey.delete(key)
  }
}

const isInterrupted = (fiber: AnyFiber) =>
  !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))

const maxSleepMillis = 2 ** 31 - 1

/**
 * Calls back at that time, or somewhat earlier where it is far off.
 *
 * @returns what takes it back
 */
const at = (time: number, clock: Clock.Clock, origin: Fibers.Origin, then: () => void) => {
  const remaining = Math.min(Math.max(0, time - clock.unsafeCurrentTimeMillis()), maxSleepMillis)
  let over = false
  const sleeping = Fibers.fork(origin, clock.sleep(Duration.millis(remaining)))
  sleeping.addObserver(() => {
    if (over) return
    over = true
    then()
  })
  return () => {
    if (over) return
    over = true
    sleeping.unsafeInterruptAsFork(sleeping.id())
  }
}
