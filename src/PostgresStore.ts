/**
 * The RunStore on PostgreSQL, loaded when it is asked for: its driver need not be there otherwise, not
 * for a bundler either, which is why the module is not named where it is imported.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { PostgresOptions } from "./PostgresOptions.js"
import type { RunStore } from "./store/RunStore.js"
import { RunStoreError } from "./store/RunStore.js"

type Module = typeof import("./store/postgres/PostgresRunStore.js")

const specifier: string = "./store/postgres/PostgresRunStore.js"

const notInstalled = (cause: unknown) =>
  new RunStoreError({
    reason: "unavailable",
    message:
      "A database of PostgreSQL needs the packages @effect/sql-pg and pg, of which one is not installed: npm install @effect/sql-pg@0.53 pg@8. In a bundle, use PostgresRunStore of effect-workflow-executor/postgres",
    cause
  })

const isMissing = (cause: unknown) =>
  Predicate.hasProperty(cause, "code") &&
  (cause.code === "ERR_MODULE_NOT_FOUND" || cause.code === "MODULE_NOT_FOUND")

export const load: Effect.Effect<Module, RunStoreError> = Effect.tryPromise(
  (): Promise<Module> => import(/* @vite-ignore */ specifier)
).pipe(
  Effect.catchAll(({ error }) =>
    isMissing(error) ? Effect.fail(notInstalled(error)) : Effect.die(error)
  )
)

export const layer = (options: PostgresOptions): Layer.Layer<RunStore, RunStoreError> =>
  Layer.unwrapEffect(Effect.map(load, ({ layerUrl }) => layerUrl(options)))

/** Which database it is, without who asks and with what. */
export const describe = ({ schema, url }: Pick<PostgresOptions, "url" | "schema">): string => {
  const text = Redacted.value(url)
  if (!URL.canParse(text)) return "PostgreSQL"
  const { host, pathname, protocol } = new URL(text)
  return `${protocol}//${host}${pathname}${schema === undefined ? "" : `, schema ${schema}`}`
}
