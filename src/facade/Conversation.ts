/**
 * An async function as the body of a workflow: it asks for effects, and is answered by promises.
 *
 * The function runs beside the workflow's fiber, and the two take turns. While the function may be
 * at work the fiber waits to be called; what the function has asked for it forks, a fiber each; and
 * when the function has nothing to do but to await answers, the fiber waits for those fibers, by
 * nothing but `Fiber.await`. That is how the engine sees that the run is at rest: every fiber of it
 * waits for the engine or for another of its fibers.
 *
 * A pass that ends from outside abandons the function: what it has asked for is not answered any
 * more, so that no `catch` and no `finally` of it sees a suspension, a drain or an interrupt.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { type WorkflowEngine, WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { recorded } from "./RecordedError.js"

/** What workflow code may need. */
export type Env = WorkflowEngine | WorkflowInstance

/** Has the workflow execute an effect; what it fails with is what the promise rejects with. */
export type Ask = <A>(effect: () => Effect.Effect<A, unknown, Env>) => Promise<A>

/** A call came when nobody executes it any more, or from where it may not come. */
const refusals = {
  over: "The workflow's function has returned or thrown: its context cannot be used any more",
  step: "The workflow's context cannot be used inside a step: a step does its work and returns"
}

/** What was asked for; executing it gives what tells the function of the outcome. */
type Asked = Effect.Effect<() => void, never, Env>

interface Finished {
  readonly tell: () => void
  /** Lets the fiber end that has executed it. */
  readonly release: () => void
}

/** In which run's step the code is that asks. */
const insideStep = new AsyncLocalStorage<Conversation<unknown> | undefined>()

const nothing = () => {}

export class Conversation<A> {
  /** Not begun yet. */
  private asked: Array<Asked> = []
  /** Fibers of what is under way. */
  private readonly underWay = new Set<Fiber.RuntimeFiber<void>>()
  /** What the function is to be told of. */
  private finished: Array<Finished> = []
  /** What it has been told of, until it has had its turn. */
  private told: Array<Finished> = []
  /** How a fiber ended that was not to be executed to its end: the run suspends. */
  private cut: Cause.Cause<never> | undefined = undefined
  /** How the function ended. */
  private result: Exit.Exit<A, unknown> | undefined = undefined
  /** The pass is over; nobody executes anything any more. */
  private left = false
  /** Call when there is something for the workflow's fiber to do. */
  private wake = nothing

  /** For code of a step of this run. */
  readonly inStep = <B>(code: () => B): B => insideStep.run(this, code)

  readonly ask: Ask = <B>(effect: () => Effect.Effect<B, unknown, Env>) => {
    const answer = new Promise<B>((resolve, reject) => {
      const refusal = this.refusal
      if (refusal !== undefined) return reject(new Error(refusal))
      // what throws here, such as a name that is none, is what the promise rejects with
      const asked = unlessSuspended(effect())
      if (this.left) return
      const tell = (exit: Exit.Exit<B, unknown>) => () => {
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(errorOf(exit.cause))
      }
      this.asked.push(Effect.map(asked, tell))
      this.wake()
    })
    // one that nobody awaits must not end the process
    answer.catch(nothing)
    return answer
  }

  private get refusal(): string | undefined {
    if (insideStep.getStore() === this) return refusals.step
    return this.result === undefined ? undefined : refusals.over
  }

  /** Executes the function, and all that it asks for, to its end. */
  run(body: () => Promise<A>): Effect.Effect<A, unknown, Env> {
    return Effect.suspend(() => {
      insideStep.run(undefined, body).then(
        (value) => this.end(Exit.succeed(value)),
        (error) => this.end(Exit.fail(error))
      )
      return this.takeTurns
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          this.left = true
          this.wake = nothing
        })
      )
    )
  }

  private end(result: Exit.Exit<A, unknown>) {
    this.result = result
    this.wake()
  }

  private get takeTurns(): Effect.Effect<A, unknown, Env> {
    return Effect.gen(this, function* () {
      while (true) {
        yield* this.functionsTurn
        if (this.result !== undefined) return yield* this.result
        for (const asked of this.asked.splice(0)) yield* this.begin(asked)
        for (const { release } of this.told.splice(0)) release()
        yield* this.somethingToDo
        if (this.cut !== undefined) return yield* Effect.failCause(this.cut)
        const finished = this.finished.splice(0)
        this.told.push(...finished)
        for (const { tell } of finished) tell()
      }
    })
  }

  private get isCalled(): boolean {
    return this.asked.length > 0 || this.result !== undefined
  }

  /**
   * Until the function has asked for something, is over, or awaits what is under way: an answer is
   * awaited in microtasks, so a turn of the event loop in which it has not asked says that. Where
   * nothing is under way it awaits something else, and is waited for.
   */
  private get functionsTurn(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.isCalled) return resume(Effect.void)
      const quiet =
        this.underWay.size > 0 || this.finished.length > 0
          ? setImmediate(() => this.wake())
          : undefined
      const stop = () => {
        clearImmediate(quiet)
        this.wake = nothing
      }
      this.wake = () => {
        stop()
        resume(Effect.void)
      }
      return Effect.sync(stop)
    })
  }

  /**
   * Forks what was asked for. Its fiber ends when the function has had its turn: until then there is
   * something under way, so that the run is not at rest beside a function that is at work.
   */
  private begin(asked: Asked): Effect.Effect<void, never, Env> {
    const told = (tell: () => void) =>
      Effect.withFiberRuntime<void>((fiber) =>
        Effect.async<void>((resume) => {
          this.underWay.delete(fiber)
          this.finished.push({ tell, release: () => resume(Effect.void) })
          this.wake()
        })
      )
    const executed = Effect.flatMap(asked, told)
    return Effect.map(Effect.fork(executed), (fiber) => {
      this.underWay.add(fiber)
      fiber.addObserver((exit) => {
        if (!this.underWay.delete(fiber) || Exit.isSuccess(exit)) return
        this.cut = exit.cause
        this.wake()
      })
    })
  }

  /**
   * Until something that is under way is finished, or the function calls all the same. The fiber that
   * is waited for is another's `Fiber.await`, which can be ended; see above.
   */
  private get somethingToDo(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const [first] = this.underWay
      const isNothing = !this.isCalled && this.finished.length === 0 && this.cut === undefined
      if (first === undefined || !isNothing) return Effect.void
      return Effect.flatMap(Effect.fork(Fiber.await(first)), (waiting) => {
        this.wake = () => {
          this.wake = nothing
          waiting.unsafeInterruptAsFork(waiting.id())
        }
        return Effect.asVoid(Fiber.await(waiting))
      })
    })
  }
}

/** How it ends; where the run suspends instead, it goes no further. */
export const unlessSuspended = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Exit.Exit<A, E>, never, R | WorkflowInstance> =>
  Effect.flatMap(Effect.exit(effect), (exit) =>
    Effect.flatMap(WorkflowInstance, ({ suspended }) =>
      suspended && Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
        ? Effect.interrupt
        : Effect.succeed(exit)
    )
  )

/** What the promise of what has failed rejects with: an error, always. */
const errorOf = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error : recorded(error)
}
