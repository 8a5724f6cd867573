/**
 * Statements on a connection of a `PgClient`, the app's or one of our own, whatever that is set to:
 * the schema is in each statement, and the client's transformations and types are gone past.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { explainHalf, isWellFormed } from "../../values/WellFormed.js"
import type { Schema } from "./Schema.js"

export type Param = string | number | boolean | null | ReadonlyArray<string | number | null>

export interface Sql {
  readonly rows: <Row>(
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  /**
   * The same of a statement that is executed over and over: the connection keeps it, so that it is not
   * parsed and planned each time. Not inside of a transaction, which a connection that has it no more
   * would end; and not to be interrupted, for the server would not be told.
   */
  readonly prepared: Sql["rows"]
  /** Answers with how many rows it changed. */
  readonly changes: (
    statement: string,
    params?: ReadonlyArray<Param>
  ) => Effect.Effect<number, SqlError>
  /**
   * Several statements in one round trip, as they are and without parameters; answers with the rows of
   * the last.
   */
  readonly script: <Row>(statements: string) => Effect.Effect<ReadonlyArray<Row>, SqlError>
}

/** What `pg` answers with. */
interface Result {
  readonly rows: ReadonlyArray<object>
  readonly rowCount: number | null
  readonly fields: ReadonlyArray<{ readonly name: string; readonly dataTypeID: number }>
}

const isResult = (result: unknown): result is Result =>
  Predicate.hasProperty(result, "rows") && Predicate.hasProperty(result, "fields")

/** `Row` is what the statement selects: the columns' types are the server's promise. */
export const fromConnection = (
  connection: Pick<Connection, "executeRaw">,
  schema: Schema,
  executePrepared?: Connection["executeRaw"]
): Sql => {
  const execute = (
    executeRaw: Connection["executeRaw"],
    statement: string,
    params: ReadonlyArray<Param>
  ) => {
    const half = params.find((param) => !isKept(param))
    return half === undefined
      ? executeRaw(schema.qualified(statement), params.map(encoded))
      : Effect.fail(new SqlError({ cause: new NotKept(String(half)) }))
  }
  const executeRaw: Connection["executeRaw"] = (statement, params) =>
    connection.executeRaw(statement, params)
  const rowsBy =
    (executeRaw: Connection["executeRaw"]): Sql["rows"] =>
    <Row>(statement: string, params: ReadonlyArray<Param> = []) =>
      Effect.suspend(() =>
        Effect.map(execute(executeRaw, statement, params), (result) => decoded<Row>(one(result)))
      )
  const one = (result: unknown): Result => {
    const last: unknown = Array.isArray(result) ? result.at(-1) : result
    return isResult(last) ? last : { rows: [], rowCount: 0, fields: [] }
  }
  return {
    rows: rowsBy(executeRaw),
    prepared: rowsBy(executePrepared ?? executeRaw),
    changes: (statement, params = []) =>
      Effect.suspend(() =>
        Effect.map(execute(executeRaw, statement, params), (result) => one(result).rowCount ?? 0)
      ),
    script: <Row>(statements: string) =>
      Effect.map(connection.executeRaw(statements, []), (result) => decoded<Row>(one(result)))
  }
}

/** A text that would not come back as it was; see `Texts` of the SQLite store. */
export class NotKept extends Error {
  constructor(text: string) {
    const short = text.length > 200 ? `${text.slice(0, 200)}…` : text
    super(explainHalf(`the text ${JSON.stringify(short)}`))
  }
}

const isKept = (param: Param): boolean =>
  typeof param === "string"
    ? isWellFormed(param)
    : !Array.isArray(param) || param.every((one) => typeof one !== "string" || isWellFormed(one))

/**
 * PostgreSQL's texts have no character zero, and names may. It is written as two others, of which
 * the first is escaped too.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const escaped = /[\u0000\u0001]/g

export const encodedText = (text: string): string =>
  text.includes("\u0000") || text.includes("\u0001")
    ? text.replace(escaped, (character) => (character === "\u0000" ? "\u0001a" : "\u0001b"))
    : text

/** A text as it was, from how it is kept. */
export const decodedText = (text: string): string =>
  text.includes("\u0001")
    ? text.replaceAll("\u0001a", "\u0000").replaceAll("\u0001b", "\u0001")
    : text

const encoded = (param: Param): unknown => {
  if (typeof param === "string") return encodedText(param)
  if (!Array.isArray(param)) return param
  return param.map((one) => (typeof one === "string" ? encodedText(one) : one))
}

const int8 = 20

/** Numbers of 8 bytes come as texts, unless the client has a parser for them: ours are all exact. */
const decoded = <Row>({ fields, rows }: Result): ReadonlyArray<Row> => {
  const numbers = fields.filter(({ dataTypeID }) => dataTypeID === int8).map(({ name }) => name)
  for (const row of rows as ReadonlyArray<Record<string, unknown>>) {
    for (const name of numbers) if (row[name] !== null) row[name] = Number(row[name])
    for (const name in row) {
      const value = row[name]
      if (typeof value === "string") row[name] = decodedText(value)
    }
  }
  // the statement says what a row has
  return rows as ReadonlyArray<Row>
}
