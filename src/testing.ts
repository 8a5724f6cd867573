/**
 * `effect-workflow-executor/testing`: for those who write a RunStore, the tests that it has to pass.
 * Loads Vitest and `@effect/vitest`.
 */
export * as StoreSuite from "./testing/StoreSuite.js"
