/**
 * What a request must be allowed to do, as the API's definition says it: the scope that its token
 * must have, and what it is about to do with a run.
 */
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------------------------
// Who asks
// ---------------------------------------------------------------------------------------------

/**
 * - `runs:read`: see workflows, runs and their steps.
 * - `runs:write`: start runs, and interrupt, terminate, resume or signal them. Does not imply `runs:read`.
 * - `admin`: all of it, and what concerns the executor itself.
 */
export type Scope = "runs:read" | "runs:write" | "admin"

export const scopes: ReadonlyArray<Scope> = ["runs:read", "runs:write", "admin"]

/** Whoever sent the request that is being handled. */
export class Principal extends Context.Tag("effect-workflow-executor/Principal")<
  Principal,
  {
    /** The token's `sub`, where it has one. */
    readonly subject: string | undefined
    /** All of them for a token without a `scope` claim, or with `admin`. */
    readonly scopes: ReadonlySet<Scope>
    /** All that the token says; never the token itself. */
    readonly claims: Readonly<Record<string, unknown>>
  }
>() {}

/** What may be done with a run. */
export type Action =
  | "start"
  | "read"
  | "interrupt"
  | "terminate"
  | "resume"
  | "signal"
  | "retry"
  | "delete"

// ---------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------

/** The token lacks a scope, which the message names, or `RunAccess` said no. */
export class Forbidden extends Schema.TaggedError<Forbidden>()(
  "Forbidden",
  { message: Schema.String },
  HttpApiSchema.annotations({ status: 403 })
) {}

/** Whether the request may do what it asks for could not be decided; the log says why. */
export class AccessNotAvailable extends Schema.TaggedError<AccessNotAvailable>()(
  "AccessNotAvailable",
  { message: Schema.String },
  HttpApiSchema.annotations({ status: 503 })
) {}

// ---------------------------------------------------------------------------------------------
// What an endpoint needs
// ---------------------------------------------------------------------------------------------

/** What a request must be allowed to do. */
export class Needs extends Context.Tag("effect-workflow-executor/http/Needs")<
  Needs,
  {
    readonly scope: Scope
    /** What `RunAccess` is asked about the run that the path's `:runId` names. */
    readonly action: Action | undefined
  }
>() {}

/**
 * Annotates an endpoint with what its requests need; in the OpenAPI document too.
 *
 * @param action required where the path has a `:runId`
 *
 * @example
 * HttpApiEndpoint.post("resume")`/runs/${runId}/resume`
 *   .annotateContext(needs("runs:write", "resume"))
 */
export const needs = (scope: Scope, action?: Action): Context.Context<Needs | OpenApi.Transform> =>
  Context.make(Needs, { scope, action }).pipe(
    Context.add(OpenApi.Transform, (operation) => ({
      ...operation,
      security: [{ bearer: [scope] }]
    }))
  )

/**
 * Lets requests through that may do what their endpoint needs. Put it on a group before
 * `Authorization`: the last middleware runs first, and this one asks for the `Principal`.
 */
export class Access extends HttpApiMiddleware.Tag<Access>()("effect-workflow-executor/Access", {
  failure: Schema.Union(Forbidden, AccessNotAvailable)
}) {}
