/**
 * What a database says of copies, in a table that is made with the first of them: where it was copied to,
 * or what is being copied into it. Executors ask for it when they start.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Portable } from "../Portable.js"
import { RunStoreError } from "../RunStore.js"

export interface Mark {
  /** The same in both databases. */
  readonly id: string
  readonly role: "source" | "target"
  readonly state: "under way" | "done"
  /** The name of the other one. */
  readonly peer: string
  readonly began_at: number
  readonly ended_at: number | null
  /** JSON; of the target's, `Progress`. */
  readonly progress: string | null
}

const selectMarks = `
  SELECT id, role, state, peer, began_at, ended_at, progress FROM workflow_copies
  ORDER BY began_at, id`

export const all = (sql: Pick<Portable, "rows">): Effect.Effect<ReadonlyArray<Mark>, SqlError> =>
  sql.rows<Mark>(selectMarks)

const insertMark = `
  INSERT INTO workflow_copies (id, role, state, peer, began_at, progress)
  VALUES (?, ?, 'under way', ?, ?, ?)`

export const insert = (
  sql: Portable,
  mark: Pick<Mark, "id" | "role" | "peer" | "began_at" | "progress">
) => sql.changes(insertMark, [mark.id, mark.role, mark.peer, mark.began_at, mark.progress])

const updateProgress =
  "UPDATE workflow_copies SET progress = ? WHERE id = ? AND state = 'under way'"

export const goOn = (sql: Portable, id: string, progress: string) =>
  sql.changes(updateProgress, [progress, id])

const updateState = "UPDATE workflow_copies SET state = 'done', ended_at = ? WHERE id = ?"

export const end = (sql: Portable, id: string, at: number) => sql.changes(updateState, [at, id])

export const remove = (sql: Portable, id: string) =>
  sql.changes("DELETE FROM workflow_copies WHERE id = ?", [id])

const cancel = "finish it by the same command, or give it up with --cancel"

const explain = ({ began_at, ended_at, peer, role, state }: Mark): string | undefined => {
  const began = new Date(began_at).toISOString()
  if (role === "source") {
    return state === "done"
      ? `it was copied to ${peer}, at ${new Date(ended_at ?? began_at).toISOString()}: its runs go on there, and nothing is written here any more`
      : `it is being copied to ${peer}, since ${began}: ${cancel}`
  }
  return state === "done"
    ? undefined
    : `what is being copied into it from ${peer}, since ${began}, is not complete: ${cancel}`
}

/** Why nobody may work on it. */
export const refusal = (marks: ReadonlyArray<Mark>): Option.Option<RunStoreError> =>
  Option.fromNullable(marks.map(explain).find((one) => one !== undefined)).pipe(
    Option.map(
      (why) =>
        new RunStoreError({ reason: "unavailable", message: `This database is out of use: ${why}` })
    )
  )
