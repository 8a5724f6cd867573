/**
 * Who is told where an unexpected error came from: a stack says how the app is made.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Principal } from "./Access.js"

/** Whether tokens without the scope `admin` may see stacks too. Default: no. */
export class StacksForReaders extends Context.Reference<StacksForReaders>()(
  "effect-workflow-executor/http/StacksForReaders",
  { defaultValue: () => false }
) {}

/** Whether the request may see them. */
export const shown: Effect.Effect<boolean, never, Principal> = Effect.gen(function* () {
  const { scopes } = yield* Principal
  return scopes.has("admin") || (yield* StacksForReaders)
})
