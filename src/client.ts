/** `effect-workflow-executor/client`: the typed client of the HTTP API, also in a browser. */
export { Api } from "./api/Api.js"
export * as Client from "./client/Client.js"
