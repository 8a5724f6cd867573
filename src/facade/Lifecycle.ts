/**
 * How the façade's executor goes from one state to the next.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { RunnerState } from "../api/RunnerState.js"
import type { Drained } from "../runner/Runner.js"
import * as Shutdown from "../runner/Shutdown.js"
import { ExecutorNotStarted, ExecutorStopped, startError } from "./Errors.js"
import * as Opened from "./Opened.js"
import { onSignals, stopWithExitCode } from "./StopSignals.js"

type Phase =
  | { readonly _tag: "Idle" }
  | {
      readonly _tag: "Starting"
      readonly done: Promise<void>
      readonly opening: Promise<Exit.Exit<Opened.Opened, unknown>>
      readonly giveUp: AbortController
    }
  | { readonly _tag: "Running"; readonly opened: Opened.Opened }
  | { readonly _tag: "Stopping"; readonly done: Promise<Drained>; readonly opened?: Opened.Opened }
  | { readonly _tag: "Stopped"; readonly done: Promise<Drained> }

const stateOf = (phase: Phase): RunnerState => {
  switch (phase._tag) {
    case "Idle":
    case "Starting":
      return "idle"
    case "Running":
      return Opened.runnerState(phase.opened)
    case "Stopping":
      return phase.opened === undefined ? "idle" : "draining"
    case "Stopped":
      return "stopped"
  }
}

const nothingDrained: Drained = {
  durationMillis: 0,
  stepsInFlight: 0,
  stepsCut: 0,
  handedOver: 0
}

export class Lifecycle {
  private phase: Phase = { _tag: "Idle" }
  private readonly open: Effect.Effect<Opened.Opened, unknown>
  private readonly signals = onSignals(
    () => this.stop(),
    (signal) => {
      if (this.opened !== undefined) Opened.logSignal(this.opened, signal)
    }
  )

  constructor(
    layer: Layer.Layer<Opened.Provided, unknown>,
    private readonly handleSignals: boolean
  ) {
    this.open = Opened.open(
      Layer.provide(layer, Shutdown.layer(Effect.sync(() => this.stopAsAsked())))
    )
  }

  get state(): RunnerState {
    return stateOf(this.phase)
  }

  /** What is open, running or draining. */
  get opened(): Opened.Opened | undefined {
    return this.phase._tag === "Running" || this.phase._tag === "Stopping"
      ? this.phase.opened
      : undefined
  }

  /** The same, for a call on it. Throws where it cannot be answered, not yet or not any more. */
  get callable(): Opened.Opened {
    const { opened } = this
    if (opened !== undefined && !Opened.isLeaving(opened)) return opened
    throw this.phase._tag === "Idle" || this.phase._tag === "Starting"
      ? new ExecutorNotStarted()
      : new ExecutorStopped()
  }

  start(): Promise<void> {
    if (this.phase._tag === "Starting") return this.phase.done
    if (this.phase._tag === "Idle") return this.begin()
    return this.state === "running" ? Promise.resolve() : Promise.reject(new ExecutorStopped())
  }

  private begin(): Promise<void> {
    if (this.handleSignals) this.signals.listen()
    const giveUp = new AbortController()
    const opening = Effect.runPromiseExit(this.open, { signal: giveUp.signal })
    const done = opening.then((exit) => {
      if (this.phase._tag !== "Starting") throw new ExecutorStopped()
      if (Exit.isSuccess(exit)) {
        this.phase = { _tag: "Running", opened: exit.value }
        return
      }
      this.phase = { _tag: "Idle" }
      this.signals.unlisten()
      throw startError(exit.cause)
    })
    this.phase = { _tag: "Starting", done, opening, giveUp }
    return done
  }

  stop(): Promise<Drained> {
    if (this.phase._tag === "Stopping" || this.phase._tag === "Stopped") return this.phase.done
    const before = this.phase
    const done = leave(before).finally(() => {
      this.signals.unlisten()
      this.phase = { _tag: "Stopped", done }
    })
    this.phase =
      before._tag === "Running"
        ? { _tag: "Stopping", done, opened: before.opened }
        : { _tag: before._tag === "Idle" ? "Stopped" : "Stopping", done }
    return done
  }

  /** By a request: nobody waits for this promise, and the log says what went wrong. */
  private stopAsAsked(): void {
    if (this.handleSignals) stopWithExitCode(() => this.stop())
    else this.stop().catch(() => {})
  }
}

const leave = async (
  before: Exclude<Phase, { readonly done: Promise<Drained> }>
): Promise<Drained> => {
  switch (before._tag) {
    case "Idle":
      return nothingDrained
    case "Starting": {
      before.giveUp.abort()
      const exit = await before.opening
      return Exit.isSuccess(exit) ? Opened.shutDown(exit.value) : nothingDrained
    }
    case "Running":
      return Opened.shutDown(before.opened)
  }
}
