/** What the API says of runs: how they look, what is asked of them, and how that is refused. */
export * from "./Bulk.js"
export * from "./Errors.js"
export * from "./Queues.js"
export * from "./Requests.js"
export * from "./RunView.js"
export * from "./StartOptions.js"
