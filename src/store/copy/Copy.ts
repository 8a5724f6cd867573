/**
 * Copies all that a store has into another one of whatever kind: its rows as they are, ids, times and
 * positions included.
 *
 * - From its beginning on nothing is written to the source any more, by whomever: what is copied is one
 *   moment of it. It stays as it is, and says where it was copied to.
 * - In parts, each a transaction of the target that also says how far it has come: one that was ended in
 *   the middle, however, goes on from there.
 * - Nobody works on the target before all is there, and was counted.
 */
import { randomUUID } from "node:crypto"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Param, Portable } from "../Portable.js"
import { RunStoreError } from "../RunStore.js"
import * as Marks from "./Marks.js"
import type { Side } from "./Side.js"
import type { Column, CopiedTable, Planned, Row } from "./Tables.js"
import { copied, leftColumns, plan } from "./Tables.js"

export interface Copied {
  /** Rows by table, of all parts, also of those of an earlier attempt. */
  readonly rows: Readonly<Record<string, number>>
}

interface Options {
  readonly source: Side
  readonly target: Side
  /** Told of each table that is through. */
  readonly tell?: ((table: string, rows: number) => Effect.Effect<void>) | undefined
}

const refused = (message: string) => new RunStoreError({ reason: "unavailable", message })

const names = copied.map(({ name }) => name)

/** How far it has come: a table, the key of its last row, and how many rows there are of each. */
const Progress = Schema.parseJson(
  Schema.Struct({
    table: Schema.Int,
    after: Schema.NullOr(Schema.Array(Schema.Union(Schema.String, Schema.Number))),
    rows: Schema.Record({ key: Schema.String, value: Schema.Int })
  })
)

type Progress = typeof Progress.Type

const beginning: Progress = { table: 0, after: null, rows: {} }

const encodeProgress = Schema.encodeSync(Progress)
const decodeProgress = Schema.decodeUnknownSync(Progress)

const marksOf = (side: Side, sql: Portable): Effect.Effect<ReadonlyArray<Marks.Mark>, SqlError> =>
  Effect.flatMap(side.hasMarks(sql), (has) => (has ? Marks.all(sql) : Effect.succeed([])))

const last = (marks: ReadonlyArray<Marks.Mark>, role: Marks.Mark["role"]) =>
  marks.filter((mark) => mark.role === role).at(-1)

export const copy = ({ source, target, tell }: Options): Effect.Effect<Copied, RunStoreError> =>
  Effect.gen(function* () {
    yield* target.migrate
    const known = yield* source.read((sql) => marksOf(source, sql))
    const begun = last(known, "source")
    // one that is under way is gone on with
    yield* assertInUse(
      source,
      known.filter(({ id, state }) => state === "done" || id !== begun?.id)
    )
    // before anything is done to the source
    yield* target.read((sql) => assertFree(target, sql, begun?.id))
    const { columns, unknown } = plan(
      yield* source.read(source.columns),
      yield* target.read(target.columns)
    )
    if (unknown.length > 0) {
      return yield* refused(
        `${source.name} cannot be copied to ${target.name}: it is not known what becomes of ${unknown.join(", ")}`
      )
    }
    const id = begun === undefined ? yield* beginSource(source, target) : begun.id
    if (begun !== undefined && begun.peer !== target.name) yield* assertSame(target, begun)
    const mark = yield* beginTarget(source, target, id)
    if (mark.state === "under way") {
      const rows = yield* copyRows(
        { source, target, tell },
        id,
        columns,
        decodeProgress(mark.progress)
      )
      yield* verify(source, target)
      const highest = yield* source.read(source.highestIds)
      yield* target.write((sql) =>
        Effect.gen(function* () {
          yield* target.setHighestIds(sql, highest)
          yield* target.recount(sql)
          yield* Marks.end(sql, id, yield* Clock.currentTimeMillis)
        })
      )
      yield* endSource(source, id)
      return { rows }
    }
    // all is there; only the source has not been told
    yield* endSource(source, id)
    return { rows: decodeProgress(mark.progress).rows }
  })

/** Fails where nobody may work on it. */
const assertInUse = (side: Side, marks: ReadonlyArray<Marks.Mark>) =>
  Option.match(Marks.refusal(marks), {
    onNone: () => Effect.void,
    onSome: ({ message }) => Effect.fail(refused(`${side.name}: ${message}`))
  })

/** Nothing in it, and nothing under way, but for that copy. */
const assertFree = (target: Side, sql: Portable, id: string | undefined) =>
  Effect.gen(function* () {
    const marks = yield* marksOf(target, sql)
    if (id !== undefined && marks.some((mark) => mark.id === id && mark.role === "target")) return
    yield* assertInUse(target, marks)
    for (const name of names) {
      if ((yield* sql.rows(`SELECT 1 AS found FROM ${name} LIMIT 1`)).length > 0) {
        return yield* refused(
          `${target.name} is not empty: there is something in ${name}. A copy needs a database, or a schema, in which nothing is`
        )
      }
    }
  })

/** By another name it may be the same; but a copy goes on in one place only. */
const assertSame = (target: Side, { id, peer }: Marks.Mark) =>
  Effect.flatMap(
    target.read((sql) => marksOf(target, sql)),
    (marks) =>
      marks.some((mark) => mark.id === id)
        ? Effect.void
        : refused(
            `It is being copied to ${peer} already, and ${target.name} knows nothing of that: finish that copy, or give it up with --cancel`
          )
  )

const beginSource = (source: Side, target: Side) =>
  source.write((sql) =>
    Effect.gen(function* () {
      const living = yield* source.living(sql)
      if (living.length > 0) {
        return yield* refused(
          `${source.name} is in use, by ${living.join(", ")}: stop every executor first; one that was killed is forgotten when its lease lapses`
        )
      }
      if (!(yield* source.hasMarks(sql))) yield* source.createMarks(sql)
      const id = randomUUID()
      const began_at = yield* Clock.currentTimeMillis
      yield* Marks.insert(sql, { id, role: "source", peer: target.name, began_at, progress: null })
      yield* source.protect(sql, names)
      return id
    })
  )

const beginTarget = (source: Side, target: Side, id: string) =>
  target.write((sql) =>
    Effect.gen(function* () {
      yield* assertFree(target, sql, id)
      if (!(yield* target.hasMarks(sql))) yield* target.createMarks(sql)
      const find = Effect.map(Marks.all(sql), (marks) => marks.find((mark) => mark.id === id))
      const found = yield* find
      if (found !== undefined) return found
      const began_at = yield* Clock.currentTimeMillis
      const progress = encodeProgress(beginning)
      const mark = { id, role: "target", peer: source.name, began_at, progress } as const
      yield* Marks.insert(sql, mark)
      return { ...mark, state: "under way", ended_at: null } as const
    })
  )

const endSource = (source: Side, id: string) =>
  source.write((sql) => Effect.flatMap(Clock.currentTimeMillis, (now) => Marks.end(sql, id, now)))

/** Bounds what a part has in memory, and how long its transaction keeps others waiting. */
const largest = { rows: 1_000, bytes: 4 * 1024 * 1024 }

const copyRows = (
  { source, target, tell }: Options,
  id: string,
  columnsOf: (table: string) => Planned,
  from: Progress
) =>
  Effect.gen(function* () {
    let progress = from
    while (progress.table < copied.length) {
      const table = copied[progress.table]
      if (table === undefined) break
      const { read, written } = columnsOf(table.name)
      const part = yield* source.read((sql) => readPart(sql, table, read, progress.after))
      const next = afterPart(progress, table, part)
      yield* target.write((sql) =>
        Effect.zipRight(
          part.rows.length === 0
            ? Effect.void
            : sql.insert(
                table.name,
                written,
                part.rows.map((row) => ({ ...leftColumns[table.name], ...row }))
              ),
          Marks.goOn(sql, id, encodeProgress(next))
        )
      )
      if (next.table > progress.table && tell !== undefined) {
        yield* tell(table.name, next.rows[table.name] ?? 0)
      }
      progress = next
    }
    return progress.rows
  })

interface Part {
  readonly rows: ReadonlyArray<Row>
  /** The key of the last of them; `null` where there are no more after it. */
  readonly after: Progress["after"]
}

const afterPart = (progress: Progress, { name }: CopiedTable, { after, rows }: Part): Progress => ({
  table: after === null ? progress.table + 1 : progress.table,
  after,
  rows: { ...progress.rows, [name]: (progress.rows[name] ?? 0) + rows.length }
})

const isText = ({ type }: Column) => type.toLowerCase() === "text"

const rowOf = (of: ReadonlyArray<string>) => `(${of.map(() => "?").join(", ")})`

/** How many rows make a part is seen from their sizes, before they are read. */
const readPart = (
  sql: Portable,
  { key, name, repeats }: CopiedTable,
  columns: ReadonlyArray<Column>,
  after: Progress["after"]
): Effect.Effect<Part, SqlError> =>
  Effect.gen(function* () {
    const keys = key.join(", ")
    const distinct = repeats === true ? "DISTINCT " : ""
    const later = after === null ? "" : `WHERE (${keys}) > ${rowOf(key)}`
    const size = columns
      .filter(isText)
      .map((column) => `coalesce(octet_length(${column.name}), 0)`)
      .join(" + ")
    const sized = yield* sql.rows<Row>(
      `SELECT ${distinct}${keys}, ${size === "" ? "0" : size} AS copied_bytes
       FROM ${name} ${later} ORDER BY ${keys} LIMIT ${largest.rows}`,
      after ?? []
    )
    const count = countWithin(sized.map(({ copied_bytes }) => Number(copied_bytes)))
    const end = sized[count - 1]
    if (end === undefined) return { rows: [], after: null }
    const until = key.map((column) => keyOf(end[column] ?? null))
    const rows = yield* sql.rows<Row>(
      `SELECT ${distinct}${columns.map((column) => column.name).join(", ")}
       FROM ${name} ${later === "" ? "WHERE" : `${later} AND`} (${keys}) <= ${rowOf(key)}
       ORDER BY ${keys}`,
      [...(after ?? []), ...until]
    )
    return { rows, after: count === sized.length && count < largest.rows ? null : until }
  })

/** Keys are never null. */
const keyOf = (value: Param): string | number => value ?? ""

/** One at least. */
const countWithin = (sizes: ReadonlyArray<number>): number => {
  let bytes = 0
  let count = 0
  for (const size of sizes) {
    bytes += size
    if (count > 0 && bytes > largest.bytes) break
    count++
  }
  return count
}

const countOf = (sql: Portable, { key, name, repeats }: CopiedTable) => {
  const from =
    repeats === true ? `(SELECT DISTINCT ${key.join(", ")} FROM ${name}) AS distinct_rows` : name
  return Effect.map(
    sql.rows<{ readonly count: number }>(`SELECT count(*) AS count FROM ${from}`),
    ([row]) => row?.count ?? 0
  )
}

const verify = (source: Side, target: Side) =>
  Effect.forEach(
    copied,
    (table) =>
      Effect.gen(function* () {
        const there = yield* source.read((sql) => countOf(sql, table))
        const here = yield* target.read((sql) => countOf(sql, table))
        if (there !== here) {
          return yield* refused(
            `The copy is not whole: ${table.name} has ${there} rows in ${source.name}, and ${here} in ${target.name}. Give it up with --cancel, and begin anew`
          )
        }
      }),
    { discard: true }
  )

/** Gives up a copy that is under way: the source may be used again, and the target is empty. */
export const cancel = ({ source, target }: Options): Effect.Effect<void, RunStoreError> =>
  Effect.gen(function* () {
    const begun = last(yield* source.read((sql) => marksOf(source, sql)), "source")
    if (begun === undefined) return yield* refused(`${source.name} is not being copied anywhere`)
    const there = (yield* target.read((sql) => marksOf(target, sql))).find(
      ({ id }) => id === begun.id
    )
    if (begun.state === "done" || there?.state === "done") {
      return yield* refused(
        `${source.name} was copied to ${target.name} whole: its runs go on there. Copy them back instead`
      )
    }
    if (there === undefined) {
      // or one that is complete elsewhere would have its runs executed twice
      if (begun.peer !== target.name) yield* assertSame(target, begun)
    } else {
      yield* target.write((sql) =>
        Effect.zipRight(
          Effect.forEach(names, (name) => sql.changes(`DELETE FROM ${name}`)),
          Effect.zipRight(target.recount(sql), Marks.remove(sql, begun.id))
        )
      )
    }
    yield* source.write((sql) =>
      Effect.zipRight(source.unprotect(sql, names), Marks.remove(sql, begun.id))
    )
  })
