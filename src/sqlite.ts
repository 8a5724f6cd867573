/** `effect-workflow-executor/sqlite`: what is kept in SQLite, a file or in memory. */
export * as SqlitePersistedQueue from "./queues/SqlitePersistedQueue.js"
export * as SqliteRateLimiter from "./queues/SqliteRateLimiter.js"
/** @deprecated the name of 0.1.0: `SqliteRunStore` */
export * as SqlRunStore from "./store/sqlite/SqliteRunStore.js"
export * as SqliteRunStore from "./store/sqlite/SqliteRunStore.js"
