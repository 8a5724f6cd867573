/** `effect-workflow-executor/postgres`: what is kept in PostgreSQL. Needs `@effect/sql-pg` and `pg`. */
export * as PgRunStore from "./store/postgres/PgRunStore.js"
