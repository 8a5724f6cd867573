/**
 * Errors of workflows that are async functions, as they are recorded.
 */
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"

const maxName = 100
const maxMessage = 4_000

const bounded = (text: string, length: number) =>
  text.length > length ? `${text.slice(0, length)}…` : text

/**
 * What a step or a run failed with, read back from its record: the `name` and the `message` of the
 * error that was thrown, of at most 100 and 4,000 characters. Its `_tag` is its name. Nothing else of
 * the error that was thrown is there any more: tell errors apart by their names.
 */
export class RecordedError extends Error {
  readonly _tag: string

  constructor(name: string, message: string) {
    super(bounded(message, maxMessage))
    this.name = bounded(name, maxName)
    this._tag = this.name
  }
}

/** Anything that was thrown. */
export const recorded = (thrown: unknown): RecordedError => {
  if (thrown instanceof RecordedError) return thrown
  if (!(thrown instanceof Error)) {
    return new RecordedError("Error", Inspectable.toStringUnknown(thrown))
  }
  const tag = "_tag" in thrown && typeof thrown._tag === "string" ? thrown._tag : thrown.name
  return new RecordedError(tag, thrown.message)
}

/** Its record, which shows like that of any error of a workflow. */
export const RecordedErrorSchema: Schema.Schema<
  RecordedError,
  { readonly _tag: string; readonly message: string }
> = Schema.transform(
  Schema.Struct({ _tag: Schema.String, message: Schema.String }),
  Schema.instanceOf(RecordedError),
  {
    strict: true,
    decode: ({ _tag, message }) => new RecordedError(_tag, message),
    encode: (_, { message, name }) => ({ _tag: name, message })
  }
)
