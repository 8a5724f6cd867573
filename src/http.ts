/** `effect-workflow-executor/http`: the HTTP API, its definition, its tokens and its server. */
export { Api } from "./api/Api.js"
export * as Access from "./http/Access.js"
export * as Authorization from "./http/Authorization.js"
export * as Dashboard from "./http/Dashboard.js"
export * as Http from "./http/Http.js"
export * as Server from "./http/Server.js"
export * as Shutdown from "./runner/Shutdown.js"
export * as Exposed from "./telemetry/Exposed.js"
