/**
 * The scheduler of runs' fibers. It does what Effect's own does, but for two things:
 *
 * - It gives the event loop a turn when it has been busy for `budget`. Effect's own goes on in microtasks,
 *   each fiber in its own, and nothing else of the process is heard until all of them have run: a workflow
 *   that starts 5,000 children at once kept `/health` waiting for up to 1.9 s.
 * - Whether a fiber is to yield is asked before each of its effects, and costs a look at its fiber refs. It
 *   is looked at with every `glance`th only, so that it yields that much later at most.
 */
import type { RuntimeFiber } from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as Scheduler from "effect/Scheduler"
import * as Ready from "../../internal/Ready.js"

/** Milliseconds. */
const budget = 10

/** Effects. */
const glance = 16

/** Executes what is ready, by priority, and in the order in which it became so. */
export class RunScheduler implements Scheduler.Scheduler {
  private readonly waiting = new Scheduler.PriorityBuckets()
  /** What was ready when this round began. */
  private round: ReadonlyArray<Scheduler.Task> = []
  private next = 0
  private isRunning = false
  /** When the event loop is to have its turn. */
  private until = 0

  shouldYield(fiber: RuntimeFiber<unknown, unknown>): number | false {
    const count = fiber.currentOpCount
    if (count % glance !== 0) return false
    return Scheduler.defaultShouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.waiting.scheduleTask(task, priority)
    if (this.isRunning) return
    this.isRunning = true
    queueMicrotask(this.begin)
  }

  private readonly begin = () => {
    Ready.setMore(false)
    this.until = performance.now() + budget
    this.run()
  }

  private readonly run = () => {
    if (!this.hasRunRound()) return
    this.round = this.taken()
    this.next = 0
    if (this.round.length === 0) this.isRunning = false
    // what promises have to say comes in between, as with its own scheduler
    else queueMicrotask(this.run)
  }

  private taken(): ReadonlyArray<Scheduler.Task> {
    const { buckets } = this.waiting
    this.waiting.buckets = []
    const [first] = buckets
    return buckets.length === 1 && first !== undefined
      ? first[1]
      : buckets.flatMap(([, tasks]) => tasks)
  }

  /** Whether it could go on to its end. */
  private hasRunRound(): boolean {
    const { round } = this
    while (this.next < round.length) {
      if (performance.now() >= this.until) {
        Ready.setMore(true)
        setImmediate(this.begin)
        return false
      }
      this.runOne(round[this.next++])
    }
    return true
  }

  private runOne(task: Scheduler.Task | undefined): void {
    let isDone = false
    try {
      task?.()
      isDone = true
    } finally {
      // what it throws is for the process to hear; the others go on
      if (!isDone) setImmediate(this.begin)
    }
  }
}

const scheduler = new RunScheduler()

/**
 * Whether it is one that Effect has chosen: its default, or the one with which `ManagedRuntime` builds
 * its layer, and which hands over to the default from then on.
 */
const isEffectsOwn = (chosen: Scheduler.Scheduler) =>
  chosen === Scheduler.defaultScheduler || chosen instanceof Scheduler.SyncScheduler

/** What starts from it is scheduled by it, unless the app has chosen a scheduler. */
export const scheduled = <R>(runtime: Runtime.Runtime<R>): Runtime.Runtime<R> =>
  isEffectsOwn(FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentScheduler))
    ? Runtime.setFiberRef(runtime, FiberRef.currentScheduler, scheduler)
    : runtime
