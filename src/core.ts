/**
 * `effect-workflow-executor/core`: the engine and the Runner, for an app that brings its store, and
 * serves HTTP by itself or not at all. Loads neither SQLite nor the HTTP API nor the command.
 */
export * as Core from "./CoreLayers.js"
export * as Events from "./engine/Events.js"
export * as Program from "./engine/Program.js"
export { Signals } from "./engine/Signals.js"
export * as Step from "./engine/Step.js"
export * as Runner from "./runner/Runner.js"
export * as RunnerConfig from "./runner/RunnerConfig.js"
export type { RunnerState } from "./runner/RunnerState.js"
export * as Runs from "./runner/Runs.js"
export * as Shutdown from "./runner/Shutdown.js"
export type { StepInFlight } from "./runner/StepInFlight.js"
export * as RunStore from "./store/RunStore.js"
