/**
 * Defects as they are recorded: their name and message, where they came from, and what caused them,
 * so that whoever looks for a fault finds it after a restart too. `Schema.Defect` has the first two.
 */
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/** So many characters the stacks of a defect have in all, those of its causes included. */
export const maxStack = 8 * 1024

/** So many causes of causes are kept. */
const maxCauses = 5

/** A cause's own message has at most so many characters; that of the defect itself stays. */
const maxMessage = 1_000

interface Encoded {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly cause?: unknown
}

/** What errors were made of: they are written as they were read. */
const known = new WeakMap<Error, Encoded>()

/** Whether it was read from a record, and not thrown just now. */
export const isRecorded = (defect: Error): boolean => known.has(defect)

const plain = { encode: Schema.encodeSync(Schema.Defect), decode: Schema.decodeSync(Schema.Defect) }

const short = (text: string) => (text.length > maxMessage ? `${text.slice(0, maxMessage)}…` : text)

/** A stack of one line says no more than the message. */
const isPlace = (stack: string | undefined): stack is string =>
  stack?.includes("\n    at ") === true

const encodeError = (error: Error): Encoded => {
  let left = maxStack
  const take = (stack: string | undefined) => {
    if (!isPlace(stack) || left <= 0) return {}
    const taken = stack.slice(0, left)
    left -= taken.length
    return { stack: taken }
  }
  const causeOf = (cause: unknown, pretty: Error | undefined, depth: number): unknown => {
    if (!(cause instanceof Error)) return short(String(plain.encode(cause)))
    const { name, message } = cause
    return { name, message: short(message), ...take(pretty?.stack), ...rest(cause, pretty, depth) }
  }
  const rest = (error: Error, pretty: Error | undefined, depth: number) =>
    error.cause === undefined || error.cause === null || depth >= maxCauses
      ? {}
      : { cause: causeOf(error.cause, pretty?.cause as Error | undefined, depth + 1) }
  const { message, name } = error
  // with the spans that it came through, and without the runtime's own frames
  const [pretty] = Cause.prettyErrors(Cause.die(error))
  return { name, message, ...take(pretty?.stack), ...rest(error, pretty, 0) }
}

const encode = (defect: unknown): unknown => {
  if (!(defect instanceof Error)) return plain.encode(defect)
  try {
    return known.get(defect) ?? encodeError(defect)
  } catch {
    // an error that causes itself, or whose fields cannot be read
    return plain.encode(defect)
  }
}

const decode = (encoded: unknown, depth = 0): unknown => {
  if (!Predicate.isReadonlyRecord(encoded) || typeof encoded.message !== "string") {
    return plain.decode(encoded)
  }
  const { cause, message, name, stack } = encoded
  const error = new Error(
    message,
    cause === undefined || depth > maxCauses ? undefined : { cause: decode(cause, depth + 1) }
  )
  if (typeof name === "string") error.name = name
  // that of the decoder would be no help
  error.stack = typeof stack === "string" ? stack : ""
  known.set(error, { ...encoded, name: error.name, message })
  return error
}

/** As `Schema.Defect`, with the stack and the causes of an error. Reads what that has written. */
export const Defect: Schema.Schema<unknown> = Schema.transform(Schema.Unknown, Schema.Unknown, {
  strict: true,
  decode: (encoded) => decode(encoded),
  encode
}).annotations({ identifier: "Defect" })
