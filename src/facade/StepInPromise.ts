/**
 * What the function of a step gets.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Instance } from "../engine/pass/Pass.js"
import * as Draining from "../engine/step/Draining.js"
import type { StepContext } from "./WorkflowContext.js"

export const digest = (text: string): string => createHash("sha256").update(text).digest("hex")

export class StepInPromise implements StepContext {
  readonly idempotencyKey: string
  private told: DrainSignal | undefined = undefined

  constructor(
    private readonly instance: Instance,
    readonly name: string,
    readonly attempt: number,
    readonly signal: AbortSignal
  ) {
    this.idempotencyKey = digest(`${instance.executionId}/${name}`)
  }

  /** Made for those only who ask for it. */
  get draining(): AbortSignal {
    this.told ??= drainSignal(this.instance)
    return this.told.signal
  }

  /** Its function is over: nobody is told any more. */
  end(): void {
    this.told?.waiting.unsafeInterruptAsFork(this.told.waiting.id())
  }
}

interface DrainSignal {
  readonly signal: AbortSignal
  readonly waiting: Fiber.RuntimeFiber<void>
}

const drainSignal = (instance: Instance): DrainSignal => {
  const controller = new AbortController()
  const tell = Effect.sync(() => controller.abort(new Draining.DrainBegun()))
  return {
    signal: controller.signal,
    waiting: Effect.runFork(Effect.zipRight(Draining.begun(instance), tell))
  }
}
