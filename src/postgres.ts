/** `effect-workflow-executor/postgres`: what is kept in PostgreSQL. Needs `@effect/sql-pg` and `pg`. */
export * as PostgresRunStore from "./store/postgres/PostgresRunStore.js"
