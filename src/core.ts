/**
 * `effect-workflow-executor/core`: the engine and the Runner, for an app that brings its store, and
 * serves HTTP by itself or not at all. Loads neither SQLite nor the HTTP API nor the command.
 */

export type { RunnerState } from "./api/RunnerState.js"
export * as Core from "./CoreLayers.js"
export * as Program from "./engine/Program.js"
export * as RunnerConfig from "./engine/RunnerConfig.js"
export * as RunQueue from "./engine/RunQueue.js"
export { Signals } from "./engine/Signals.js"
export * as Step from "./engine/Step.js"
export type { StepInFlight } from "./engine/step/StepInFlight.js"
export * as Events from "./events/Events.js"
export * as QueueWorker from "./queues/QueueWorker.js"
export * as Runner from "./runner/Runner.js"
export * as Runs from "./runner/Runs.js"
export * as Schedules from "./runner/Schedules.js"
export * as Shutdown from "./runner/Shutdown.js"
export * as RunStore from "./store/RunStore.js"
