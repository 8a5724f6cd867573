/**
 * What checks a value: any validator of https://standardschema.dev, as Zod, Valibot and ArkType make
 * them, and `Schema.standardSchemaV1` of Effect.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { messageOf } from "./Errors.js"

/** The interface of the specification, as far as it is asked for here. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

type Result<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<Issue> }

interface Issue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** The value did not pass. */
export class Invalid extends Data.TaggedError("Invalid")<{ readonly message: string }> {}

/** What the validator makes of the value; the value itself where there is none. */
export const validated = <A>(
  schema: StandardSchema<unknown, A> | undefined,
  value: A
): Effect.Effect<A, Invalid> =>
  schema === undefined ? Effect.succeed(value) : check(schema, value)

/** What the validator makes of the value. One that throws does not take it. */
export const check = <A>(
  schema: StandardSchema<unknown, A>,
  value: unknown
): Effect.Effect<A, Invalid> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: async () => schema["~standard"].validate(value),
      catch: (error) => new Invalid({ message: messageOf(error) })
    }),
    outcome
  )

const outcome = <A>(result: Result<A>): Effect.Effect<A, Invalid> =>
  result.issues === undefined
    ? Effect.succeed(result.value)
    : Effect.fail(new Invalid({ message: explain(result.issues) }))

const explain = (issues: ReadonlyArray<Issue>): string => {
  const message = issues.map(explainOne).join("; ")
  return message.length > 2_000 ? `${message.slice(0, 2_000)}…` : message
}

const explainOne = ({ message, path = [] }: Issue): string => {
  const at = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".")
  return at === "" ? message : `${at}: ${message}`
}
