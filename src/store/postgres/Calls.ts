/** Writes that are one call of a function of the database, where a transaction has no others. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Completion } from "../RunStore.js"
import type { Write } from "../Write.js"
import { ofKind } from "../Write.js"
import * as Again from "./Again.js"
import type { Told } from "./Commit.js"
import { commit } from "./Commit.js"
import { answers, createAll, existing, firstOfEach } from "./Creation.js"
import {
  completeAll,
  endAnswers,
  firstEnds,
  noteSteps,
  onceEach,
  recordSteps,
  stepAnswers
} from "./Progress.js"
import { signalAll } from "./SignalCall.js"
import type { Transaction } from "./Transaction.js"
import * as WakeUps from "./WakeUps.js"

type Called = Parameters<typeof commit>[0]

/** What a call of a function does; it answers the writes. */
export type Call = (transaction: Called, told: Told) => Effect.Effect<void, SqlError>

/** The call that does these writes; `undefined`: they are several statements. */
export const callOf = (writes: ReadonlyArray<Write<Transaction>>): Call | undefined =>
  commitOf(writes) ?? signalsOf(writes)

/** The writes by kind, where all are of those that the function does. */
const commitOf = (writes: ReadonlyArray<Write<Transaction>>): Call | undefined => {
  const kinds = kindsOf(writes)
  const { completions, creations, notes, steps } = kinds
  const count =
    creations.inputs.length + steps.inputs.length + notes.inputs.length + completions.inputs.length
  const isPlain = creations.inputs.every(
    ({ by, run }) => by === undefined && run.parent === undefined
  )
  return count === writes.length && isPlain && canBeMadeAgain(kinds.completions.inputs)
    ? (transaction, told) => committed(transaction, kinds, told)
    : undefined
}

/**
 * Where two executors of this process both take themselves for the holder of a run under one claim,
 * its row does not say whose end it was: the call could not be made again.
 */
const canBeMadeAgain = (completions: ReadonlyArray<Completion>): boolean => {
  const executors = new Map<string, number>()
  return completions.every(({ held: { claim, executor, key } }) => {
    const other = executors.get(`${key}/${claim}`)
    executors.set(`${key}/${claim}`, executor)
    return other === undefined || other === executor
  })
}

const kindsOf = (writes: ReadonlyArray<Write<Transaction>>) => ({
  creations: ofKind(writes, createAll),
  steps: ofKind(writes, recordSteps),
  notes: ofKind(writes, noteSteps),
  completions: ofKind(writes, completeAll)
})

type Kinds = ReturnType<typeof kindsOf>

/** Where all are signals. */
const signalsOf = (writes: ReadonlyArray<Write<Transaction>>): Call | undefined => {
  const { answer, inputs } = ofKind(writes, WakeUps.signals)
  if (inputs.length < writes.length) return undefined
  return (transaction, told) =>
    Effect.flatMap(signalAll(transaction, inputs, told), (stored) =>
      stored === "early"
        ? Again.alone
        : Effect.sync(() => answer(stored.map((isStored) => Exit.succeed(isStored))))
    )
}

const committed = (
  transaction: Called,
  { completions, creations, notes, steps }: Kinds,
  told: Told
) =>
  Effect.gen(function* () {
    const ends = firstEnds(completions.inputs)
    const done = yield* commit(
      transaction,
      {
        creations: firstOfEach(creations.inputs),
        steps: onceEach(steps.inputs, notes.inputs),
        completions: ends
      },
      told
    )
    const answer = answers(done, transaction.now)
    creations.answer(
      yield* Effect.forEach(creations.inputs, (creation) => {
        const created = answer(creation)
        return created === undefined
          ? Effect.map(existing(transaction, creation.run.runId), ({ run }) =>
              Exit.succeed({ run, created: false, claimed: undefined })
            )
          : Effect.succeed(
              Exit.succeed({ run: created.run, created: true, claimed: created.claimed })
            )
      })
    )
    const allWritten = done.steps === steps.inputs.length + notes.inputs.length
    steps.answer(yield* stepAnswers(transaction, steps.inputs, allWritten))
    notes.answer(yield* stepAnswers(transaction, notes.inputs, allWritten))
    completions.answer(
      endAnswers(transaction, completions.inputs, { written: ends, ended: done.ended })
    )
  })
