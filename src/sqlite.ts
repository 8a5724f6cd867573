/** `effect-workflow-executor/sqlite`: the RunStore on SQLite, a file or in memory. */
export * as SqlRunStore from "./store/sqlite/SqlRunStore.js"
