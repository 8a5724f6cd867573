/** The database schema that the tables are in. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { isSchemaName } from "../../internal/SchemaName.js"

export interface Schema {
  readonly name: string
  /** The name, quoted. */
  readonly identifier: string
  /** The statement with its tables and functions in this schema. */
  readonly qualified: (statement: string) => string
}

export class InvalidSchema extends Data.TaggedError("InvalidSchema")<{ readonly schema: string }> {
  override get message() {
    return `${JSON.stringify(this.schema)} cannot be the name of a schema here: it has to have 1 to 63 lower-case letters, digits and underscores, not to begin with a digit, and not with pg_`
  }
}

/** Where nothing else is said. */
export const defaultName = "workflow_executor"

/** Ours all begin so. */
const ours = /(?<![\w".$])(workflow_[a-z0-9_]+)/g

/** Each statement is looked through once. */
export const make = (name: string): Schema => {
  const identifier = `"${name}"`
  const known = new Map<string, string>()
  const qualified = (statement: string): string => {
    const found = known.get(statement)
    if (found !== undefined) return found
    const made = statement.replaceAll(ours, (table) => `${identifier}.${table}`)
    known.set(statement, made)
    return made
  }
  return { name, identifier, qualified }
}

/** Dies with `InvalidSchema` where it has a name that it cannot have. */
export const checked = (name: string): Effect.Effect<Schema> =>
  isSchemaName(name)
    ? Effect.sync(() => make(name))
    : Effect.die(new InvalidSchema({ schema: name }))
