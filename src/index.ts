/**
 * A durable workflow executor for Effect.
 */

export type { RunnerState } from "./api/RunnerState.js"
export * as Client from "./client/Client.js"
export * as Executor from "./Executor.js"
export * as Program from "./engine/Program.js"
export * as RunnerConfig from "./engine/RunnerConfig.js"
export { Signals } from "./engine/Signals.js"
export * as Step from "./engine/Step.js"
export type { StepInFlight } from "./engine/step/StepInFlight.js"
export * as Events from "./events/Events.js"
export * as AsyncWorkflow from "./facade/AsyncWorkflow.js"
export { defineWorkflow } from "./facade/AsyncWorkflow.js"
export * as PromiseExecutor from "./facade/PromiseExecutor.js"
/** @deprecated the name of 0.1.0: `PromiseExecutor` */
export * as WorkflowExecutor from "./facade/PromiseExecutor.js"
export * as Access from "./http/Access.js"
export * as Authorization from "./http/Authorization.js"
export * as Dashboard from "./http/Dashboard.js"
export * as Http from "./http/Http.js"
export * as QueueWorker from "./queues/QueueWorker.js"
export * as SqlPersistedQueue from "./queues/SqlPersistedQueue.js"
export * as SqlRateLimiter from "./queues/SqlRateLimiter.js"
export * as RunMain from "./RunMain.js"
export * as Runner from "./runner/Runner.js"
export * as Runs from "./runner/Runs.js"
export * as Shutdown from "./runner/Shutdown.js"
export * as RunStore from "./store/RunStore.js"
/** @deprecated the name of 0.1.0: `SqliteRunStore` */
export * as SqlRunStore from "./store/sqlite/SqliteRunStore.js"
export * as SqliteRunStore from "./store/sqlite/SqliteRunStore.js"
export * as Exposed from "./telemetry/Exposed.js"
