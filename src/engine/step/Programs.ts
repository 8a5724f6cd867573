/**
 * The programs that steps start, as far as a stop concerns them: a Ctrl-C, and some supervisors, send
 * the signal that stops this process to its children too. A step that fails because of that has not
 * come to anything.
 *
 * Node tells of every child process, whatever started it. It belongs to the step whose fiber runs at
 * that moment, or whose promise it is in a workflow that is an async function.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { ChildProcess } from "node:child_process"
import * as Diagnostics from "node:diagnostics_channel"
import { constants } from "node:os"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as StopSignals from "../../internal/StopSignals.js"
import type { Instance } from "../pass/Pass.js"

const started = new WeakMap<Instance, Set<ChildProcess>>()

const inPromise = new AsyncLocalStorage<Instance>()

/** Calls what returns the promise of a step; the programs that it starts later are the step's too. */
export const within = <A>(instance: Instance, call: () => A): A => inPromise.run(instance, call)

const instanceHere = (): Instance | undefined =>
  Option.match(Fiber.getCurrentFiber(), {
    onNone: () => inPromise.getStore(),
    onSome: ({ currentContext }) =>
      Option.getOrUndefined(Context.getOption(currentContext, WorkflowEngine.WorkflowInstance))
  })

const onStart = (message: unknown) => {
  // what Node publishes on this channel: `{ process: ChildProcess }`
  const { process } = message as { readonly process: ChildProcess }
  const instance = instanceHere()
  if (instance === undefined) return
  const programs = started.get(instance)
  if (programs === undefined) started.set(instance, new Set([process]))
  else programs.add(process)
}

const channel = "child_process"

/** Several may watch: each program is noted once. */
export const watch: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const listener = (message: unknown) => onStart(message)
    Diagnostics.subscribe(channel, listener)
    return listener
  }),
  (listener) => Effect.sync(() => Diagnostics.unsubscribe(channel, listener))
)

const signals: ReadonlySet<unknown> = new Set(StopSignals.names)

/** What a shell ends with whose program was ended by a signal. */
const exitCodes: ReadonlySet<unknown> = new Set(
  StopSignals.names.map((name) => 128 + constants.signals[name])
)

const ours = new WeakSet<ChildProcess>()

/** It is ended because the step wants that: what it ends with is the step's own doing. */
export const endedHere = (program: ChildProcess): void => void ours.add(program)

const endedBySignal = (program: ChildProcess) =>
  !program.killed &&
  !ours.has(program) &&
  (signals.has(program.signalCode) || exitCodes.has(program.exitCode))

/** Such as Node's `execFile` rejects with, or what an error that says so has as its cause. */
const saysSo = (error: unknown, depth = 0): boolean => {
  if (!Predicate.isRecord(error) || depth > 5) return false
  if (signals.has(error.signal) && error.killed !== true) return true
  return saysSo(error.cause, depth + 1)
}

/** Whether a step that failed so had a program that was ended by a signal as stops a process. */
export const wereEnded = (instance: Instance, cause: Cause.Cause<unknown>): boolean => {
  for (const program of started.get(instance) ?? []) if (endedBySignal(program)) return true
  const said = (error: unknown) => saysSo(error)
  return Chunk.some(Cause.failures(cause), said) || Chunk.some(Cause.defects(cause), said)
}

/**
 * How long after its program a process may learn of the same signal and begin to drain: time of the
 * system, since its signals follow no other clock.
 */
const patience = 500

const lookEvery = 10

/** Whether it holds, or comes to hold within half a second. */
export const isStopping = (holds: () => boolean): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    if (holds()) return Effect.succeed(true)
    return Effect.async<boolean>((resume) => {
      let left = patience / lookEvery
      const timer = setInterval(() => {
        if (!holds() && --left > 0) return
        clearInterval(timer)
        resume(Effect.succeed(holds()))
      }, lookEvery)
    })
  })
