/** Whose request it is: whoever presents a bearer token. How tokens are checked is for the server. */
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as Schema from "effect/Schema"
import { Principal } from "./Access.js"

const reasons = ["token missing", "token invalid", "token expired", "token not yet valid"] as const

/** The request carries no token that lets it in. The message never says more than the reason. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  { message: Schema.Literal(...reasons) },
  HttpApiSchema.annotations({ status: 401 })
) {}

/**
 * Lets requests through that carry a valid bearer token, and says whose. What they may do is for
 * `Access` to say.
 */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()(
  "effect-workflow-executor/Authorization",
  {
    failure: Unauthorized,
    provides: Principal,
    security: { bearer: HttpApiSecurity.bearer }
  }
) {}
