/**
 * Whether anything is under way in a pass, or in a step: known, not guessed.
 *
 * Effect's runtime tells a supervisor of every fiber that starts, ends, goes on or suspends. A fiber
 * is *at rest* when it waits for the engine (a signal, a timer, a child, room that is refused), or
 * for another fiber that is supervised here. Whatever else a fiber waits for (a promise, a plain
 * sleep, a hash, a semaphore) may make it go on at any time, and it is *idle* only.
 *
 * What a suspended fiber waits for:
 * - Effect's own `blockingOn`, where it names another fiber of this pass: `Fiber.join`, `race`,
 *   `Deferred.await`. A deferred that a fiber made itself may be completed from anywhere.
 * - The fibers that it has started while it registered the wait: so do `Effect.all`, `forEach` and
 *   `raceAll` wait for their branches.
 * - Nothing, where it is `Effect.never`.
 */

import type { Context } from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Supervisor from "effect/Supervisor"

/**
 * - `moving`: a fiber is executing, or the engine is doing something that it asked for.
 * - `idle`: every fiber waits, but not all for the engine or for each other.
 * - `rest`: nothing goes on unless the engine lets it.
 */
export type Level = "moving" | "idle" | "rest"

type State =
  /** It executes, or is about to. */
  | "moving"
  /** It waits for something that nobody here knows. */
  | "waiting"
  /** It waits for others of these fibers. */
  | "joining"
  /** It is inside of a call of the engine. */
  | "engine"
  | "ended"

/**
 * What of an effect and of a fiber is read that their types do not tell. It is checked, and what is
 * not recognised counts as unknown.
 */
interface Op {
  readonly _op?: string
}
interface Suspended {
  /** While it waits in an `Async`: whom for. */
  readonly _asyncBlockingOn?: unknown
}

const { never } = Effect

class Supervised {
  state: State = "moving"
  /** How many calls of the engine it is inside of. */
  calls = 0
  /** What it executes, while another fiber executes in the middle of that. */
  op: Op["_op"] = undefined
  /** It suspended in a wait that it had registered. */
  waits = false
  /** It has started fibers in the act of beginning to wait. */
  startedOthers = false
  isNever = false
  /** Which fiber's execution this one has interrupted. */
  outer: Supervised | undefined = undefined

  constructor(readonly id: number) {}
}

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Whose fibers they are. */
export interface Watcher {
  /** Told of each level that lasts until all that is ready has run, and of its end. */
  readonly onLevel: (level: Level) => void
}

export class Quiescence extends Supervisor.AbstractSupervisor<void> {
  /** Fibers that have not ended. */
  private live = 0
  /** Fibers that are `moving`. */
  private moving = 0
  /** Fibers that are `waiting`. */
  private waiting = 0
  /** Fibers that are inside of a call of the engine. */
  private inside = 0
  /** Calls of the engine that have something to do. */
  private busy = 0
  /** Most have one fiber only. */
  private first: Supervised | undefined = undefined
  private others: Map<number, Supervised> | undefined = undefined
  private current: Supervised | undefined = undefined
  /**
   * What kind of effect the current one executes. Not the effect: the garbage collector is told of
   * each new object that one which has been there for longer refers to, and this changes with every effect.
   */
  private op: Op["_op"] = undefined
  /** Grows with everything that changes. */
  private version = 0
  private looking = false
  private told: Level = "moving"

  constructor(private readonly watcher: Watcher) {
    super()
  }

  get value(): Effect.Effect<void> {
    return Effect.void
  }

  get level(): Level {
    // what is over is on its way to be concluded
    if (this.busy > 0 || this.moving > 0 || this.live === 0) return "moving"
    return this.waiting > 0 ? "idle" : "rest"
  }

  /** At rest, and something of it waits for the engine. */
  get waitsForEngine(): boolean {
    return this.inside > 0 && this.level === "rest"
  }

  /** Tells of its level again, once all that is ready has run, also if it has not changed. */
  tellAgain(fiber: AnyFiber): void {
    this.told = "moving"
    this.look(fiber)
  }

  // --- what the runtime tells

  override onStart<A, E, R>(
    _context: Context<R>,
    _effect: Effect.Effect<A, E, R>,
    parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    const { id } = fiber.id()
    const supervised = new Supervised(id)
    if (this.first === undefined) this.first = supervised
    else {
      this.others ??= new Map()
      this.others.set(id, supervised)
    }
    this.version++
    this.live++
    this.moving++
    this.stir()
    // a wait that is registered is an effect of its own, and forks nothing otherwise
    if (Option.isSome(parent) && this.current !== undefined && this.op === "Commit") {
      this.current.startedOthers = true
    }
  }

  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
    const supervised = this.find(fiber)
    if (supervised === undefined) return
    this.become(supervised, "ended")
    if (supervised !== this.first) this.others?.delete(supervised.id)
    this.look(fiber)
  }

  override onEffect<A, E>(
    _fiber: Fiber.RuntimeFiber<A, E>,
    effect: Effect.Effect<unknown, unknown, unknown>
  ): void {
    // told of each effect of a workflow: no more is done here than must be
    this.op = (effect as Op)._op
    if (effect === never && this.current !== undefined) this.current.isNever = true
  }

  override onResume<A, E>(fiber: Fiber.RuntimeFiber<A, E>): void {
    const supervised = this.find(fiber)
    if (supervised === undefined) return
    if (this.current !== undefined) this.current.op = this.op
    supervised.outer = this.current
    this.current = supervised
    this.op = undefined
    if (supervised.waits) {
      supervised.startedOthers = false
      supervised.isNever = false
      supervised.waits = false
    }
    if (supervised.calls === 0) this.become(supervised, "moving")
  }

  override onSuspend<A, E>(fiber: Fiber.RuntimeFiber<A, E>): void {
    const supervised = this.current
    if (supervised === undefined || supervised.id !== fiber.id().id) return
    const { op } = this
    const { state } = supervised
    this.current = supervised.outer
    supervised.outer = undefined
    this.op = this.current?.op
    supervised.waits = op === "Async"
    // one that yields goes on by itself
    if (state !== "moving" || op === "Yield") return
    const joins =
      supervised.waits && this.waitsForOthers(supervised, (fiber as Suspended)._asyncBlockingOn)
    this.become(supervised, joins ? "joining" : "waiting")
    this.look(fiber)
  }

  // --- what the engine tells

  /** The fiber calls the engine, which has something to do. */
  enter(fiber: AnyFiber): void {
    this.busy++
    const supervised = this.find(fiber)
    if (supervised === undefined) return
    if (supervised.calls++ === 0) this.become(supervised, "engine")
  }

  /** The call is over; the fiber goes on. */
  leave(fiber: AnyFiber): void {
    this.busy--
    const supervised = this.find(fiber)
    if (supervised === undefined) return
    if (--supervised.calls === 0 && supervised.state === "engine") this.become(supervised, "moving")
  }

  /** The call waits for what only the engine can bring. */
  rest(fiber: AnyFiber): void {
    this.version++
    this.busy--
    this.look(fiber)
  }

  /** What it waits for is there, or it does not wait any more. */
  goOn(): void {
    this.version++
    this.busy++
    this.stir()
  }

  // ---

  private find(fiber: Fiber.RuntimeFiber<unknown, unknown>): Supervised | undefined {
    const { id } = fiber.id()
    return this.first?.id === id ? this.first : this.others?.get(id)
  }

  private become(supervised: Supervised, state: State): void {
    if (supervised.state === "ended") return
    this.version++
    this.count(supervised.state, -1)
    this.count(state, 1)
    supervised.state = state
    if (state === "ended") this.live--
    if (state === "moving") this.stir()
  }

  private count(state: State, by: number): void {
    if (state === "moving") this.moving += by
    else if (state === "waiting") this.waiting += by
    else if (state === "engine") this.inside += by
  }

  private waitsForOthers({ id, isNever, startedOthers }: Supervised, on: unknown): boolean {
    if (isNever || startedOthers) return true
    if (!FiberId.isFiberId(on) || on._tag === "None") return false
    if (on._tag === "Runtime") return on.id !== id && this.has(on.id)
    for (const other of FiberId.ids(on)) if (other === id || !this.has(other)) return false
    return true
  }

  private has(id: number): boolean {
    return this.first?.id === id || this.others?.has(id) === true
  }

  private stir(): void {
    if (this.told === "moving") return
    this.told = "moving"
    this.watcher.onLevel("moving")
  }

  /**
   * Looks again when whatever is ready has run; if that changed anything, once more. What a fiber
   * sets off may take several rounds of the scheduler to show, but no turn of the event loop.
   */
  private look(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    if (this.looking || this.told === this.level) return
    this.looking = true
    const { version } = this
    const then = () => {
      this.looking = false
      if (this.version !== version) return this.look(fiber)
      const { level } = this
      if (level === this.told) return
      this.told = level
      this.watcher.onLevel(level)
    }
    // a scheduler that has been busy for very long goes on in a later turn: behind what waits in it
    setImmediate(() => fiber.currentScheduler.scheduleTask(then, 0, fiber))
  }
}
