/** Options that stand in for variables of the environment: one validation for both. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** By the names of the variables. */
export type Variables = Readonly<Record<string, Option.Option<string>>>

/** Those that are given stand before the environment's. */
export const withVariables =
  (variables: Variables) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const given = new Map<string, string>()
    for (const [name, value] of Object.entries(variables)) {
      if (Option.isSome(value)) given.set(name, value.value)
    }
    return Effect.configProviderWith((environment) =>
      Effect.withConfigProvider(
        effect,
        ConfigProvider.orElse(ConfigProvider.fromMap(given), () => environment)
      )
    )
  }
