/**
 * What a request may do: the scope that its token must have, and what the app says about the run
 * that it is for.
 *
 * An endpoint names both in the API's definition, with `needs`; the `Access` middleware of its group
 * sees to them before the request's body is read. An endpoint that names nothing needs `admin`.
 * Where no single run is named by the path, the handler asks itself: `authorize`, `visible`.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import {
  Access,
  AccessNotAvailable,
  type Action,
  Forbidden,
  Needs,
  Principal
} from "../api/Access.js"
import { RunStore } from "../store/RunStore.js"

export * from "../api/Access.js"

const undecided = () =>
  new AccessNotAvailable({ message: "Access could not be decided; nothing was done; try again" })

// ---------------------------------------------------------------------------------------------
// What the app says
// ---------------------------------------------------------------------------------------------

export interface AccessRequest {
  readonly principal: Principal["Type"]
  readonly action: Action
  readonly run: {
    readonly workflow: string
    /** Not known yet for `start`, where `workflow` is what the client sent, registered or not. */
    readonly runId: string | undefined
  }
}

interface Decisions {
  /**
   * Whether the request may do this with this run. `false` is answered with 403; a failure or a
   * defect is logged and answered with 503. Asked for every run of a listing, up to 10 at once, so
   * it should be quick; how long it may take is its own to bound.
   */
  readonly allows: (request: AccessRequest) => Effect.Effect<boolean, unknown>
}

const allowAll: Decisions = { allows: () => Effect.succeed(true) }

/**
 * Decides per run and principal, after the token's scope was found to be enough; `admin` is asked
 * for too. Default: everything is allowed, which the log tells.
 *
 * Give it as the option `http.access`, or provide it to the layer that serves the API. Merged beside
 * the executor's layer nobody asks it. A listing leaves out what may not be read: its pages may be
 * short, or empty before the last. A run that is not there is answered with 404 to everyone,
 * so 403 tells that a run is there.
 *
 * @example
 * const TeamAccess = Layer.effect(RunAccess, Effect.map(Teams, (teams) => ({
 *   allows: ({ principal, run }) => teams.owns(principal.subject, run.workflow)
 * })))
 *
 * Executor.layer({ workflows: OrdersLive, http: { access: TeamAccess } })
 */
export class RunAccess extends Context.Reference<RunAccess>()(
  "effect-workflow-executor/RunAccess",
  { defaultValue: () => allowAll }
) {}

/** As `allowAll`, by somebody's word. */
const byScope: Decisions = { ...allowAll }

/** The scopes of a token are enough, for every run: that is meant so, and the log is silent about it. */
export const layerByScope: Layer.Layer<RunAccess> = Layer.succeed(RunAccess, byScope)

const asksNobody = (access: Decisions) => access === allowAll || access === byScope

/** Whether every run is everybody's: then nobody need be asked. */
export const isOpen: Effect.Effect<boolean> = Effect.map(RunAccess, asksNobody)

/**
 * Fails with `Forbidden` where `RunAccess` decides run by run: for what is about many of them at once,
 * of which it could not be asked about each.
 */
export const aboutMany = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Forbidden, R> =>
  Effect.zipRight(
    Effect.flatMap(isOpen, (open) => (open ? Effect.void : decidedForEach(what))),
    effect
  )

const decidedForEach = (what: string) =>
  new Forbidden({
    message: `${what}: here it is decided for each run who may do what with it, so many are not told of or changed at once`
  })

const decide = (access: Decisions, request: AccessRequest) =>
  Effect.suspend(() => access.allows(request)).pipe(
    Effect.catchAllCause((cause) =>
      Effect.logError("RunAccess could not decide", cause).pipe(
        Effect.annotateLogs({ action: request.action, ...request.run }),
        Effect.zipRight(undecided())
      )
    )
  )

/** Whether `RunAccess` lets the request do this with this run. */
export const allowed = (
  action: Action,
  run: AccessRequest["run"]
): Effect.Effect<boolean, AccessNotAvailable, Principal> =>
  Effect.flatMap(RunAccess, (access) =>
    asksNobody(access)
      ? Effect.succeed(true)
      : Effect.flatMap(Principal, (principal) => decide(access, { principal, action, run }))
  )

/** Fails with `Forbidden` unless `RunAccess` lets the request do this with this run. */
export const authorize = (
  action: Action,
  run: AccessRequest["run"]
): Effect.Effect<void, Forbidden | AccessNotAvailable, Principal> =>
  Effect.flatMap(allowed(action, run), (allowed) =>
    allowed ? Effect.void : new Forbidden({ message: `This token may not ${action} this run` })
  )

/** Fails with `Forbidden` where the request may not read the run of that id; no effect where there is none. */
export const readable = Effect.map(
  RunStore,
  ({ find }) =>
    (runId: string) =>
      Effect.flatMap(
        find(runId),
        Option.match({
          onNone: () => Effect.void,
          onSome: ({ workflow }) => authorize("read", { runId, workflow })
        })
      )
)

/** Those of these runs that the request may read, in their order. */
export const visible = <A extends { readonly runId: string; readonly workflow: string }>(
  runs: ReadonlyArray<A>
): Effect.Effect<ReadonlyArray<A>, AccessNotAvailable, Principal> =>
  Effect.filter(runs, ({ runId, workflow }) => allowed("read", { runId, workflow }), {
    concurrency: 10
  })

/** Where nothing is said. */
const unsaid: Needs["Type"] = { scope: "admin", action: undefined }

const needsOf = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  api: HttpApi.HttpApi<Id, Groups, E, R>
) => {
  const found = new Map<string, Needs["Type"]>()
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, mergedAnnotations }) => {
      const said = Context.getOption(mergedAnnotations, Needs)
      if (Option.isSome(said)) found.set(`${endpoint.method} ${endpoint.path}`, said.value)
    }
  })
  return ({ method, path }: HttpRouter.Route<unknown, unknown>) =>
    found.get(`${method} ${path}`) ?? unsaid
}

/** For the endpoints of this API. */
export const layer = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  api: HttpApi.HttpApi<Id, Groups, E, R>
): Layer.Layer<Access, never, RunStore> =>
  Layer.effect(
    Access,
    Effect.gen(function* () {
      const store = yield* RunStore
      const access = yield* RunAccess
      if (access === allowAll) {
        yield* Effect.logInfo(
          "no RunAccess was given: a token may do with every run what its scopes allow"
        )
      }
      const needsOfRoute = needsOf(api)

      const find = (runId: string) =>
        Effect.catchAll(store.find(runId), (error) =>
          Effect.zipRight(Effect.logError("The run store failed", Cause.fail(error)), undecided())
        )

      const ask = Effect.fnUntraced(function* (action: Action, runId: string) {
        const run = yield* find(runId)
        // the handler has the right answer where there is no run
        if (Option.isNone(run)) return
        yield* authorize(action, { runId, workflow: run.value.workflow })
      })

      return Access.of(
        Effect.contextWithEffect((context: Context.Context<HttpRouter.RouteContext>) => {
          // the type of a middleware cannot say that it runs inside of another
          const principal = Context.getOption(context, Principal)
          if (Option.isNone(principal)) {
            return Effect.dieMessage("The Access middleware is outside of Authorization")
          }
          const { params, route } = Context.get(context, HttpRouter.RouteContext)
          const { action, scope } = needsOfRoute(route)
          if (!principal.value.scopes.has(scope)) {
            return new Forbidden({ message: `The token lacks the scope ${scope}` })
          }
          if (action === undefined || params.runId === undefined || asksNobody(access)) {
            return Effect.void
          }
          return ask(action, params.runId).pipe(
            Effect.provideService(RunAccess, access),
            Effect.provideService(Principal, principal.value)
          )
        })
      )
    })
  )
