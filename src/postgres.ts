/** `effect-workflow-executor/postgres`: what is kept in PostgreSQL. Needs `@effect/sql-pg` and `pg`. */
export * as PostgresPersistedQueue from "./queues/PostgresPersistedQueue.js"
export * as PostgresRateLimiter from "./queues/PostgresRateLimiter.js"
export * as PostgresRunStore from "./store/postgres/PostgresRunStore.js"
