/**
 * A durable workflow executor for Effect.
 */
export * as Client from "./Client.js"
export * as Executor from "./Executor.js"
export * as Access from "./http/Access.js"
export * as Authorization from "./http/Authorization.js"
export * as Http from "./http/Http.js"
export * as Runner from "./Runner.js"
export * as RunnerConfig from "./RunnerConfig.js"
export type { RunnerState } from "./RunnerState.js"
export * as RunStore from "./RunStore.js"
export * as Runs from "./Runs.js"
export { Signals } from "./Signals.js"
export * as SqlRunStore from "./SqlRunStore.js"
export type { StepInFlight } from "./StepInFlight.js"
export * as Exposed from "./telemetry/Exposed.js"
export * as WorkflowExecutor from "./WorkflowExecutor.js"
