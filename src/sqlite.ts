/** `effect-workflow-executor/sqlite`: what is kept in SQLite, a file or in memory. */
export * as SqlPersistedQueue from "./queues/SqlPersistedQueue.js"
export * as SqlRateLimiter from "./queues/SqlRateLimiter.js"
export * as SqlRunStore from "./store/sqlite/SqlRunStore.js"
