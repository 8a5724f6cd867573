/** Writes, and how those that share a transaction are done in it. */
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Millis, RunLost, RunStoreError } from "../RunStore.js"
import type { ChangeLog } from "./ChangeLog.js"
import type { Sql } from "./Sql.js"

/** What an operation works with inside the transaction. */
export interface Transaction extends Sql {
  readonly now: Millis
  readonly log: ChangeLog
}

/**
 * It may run more than once, each time in a new transaction. `RunLost` is an answer: an operation
 * that ends with it has written nothing.
 */
export type Operation<A, E extends RunLost = never> = (
  transaction: Transaction
) => Effect.Effect<A, E | SqlError>

/**
 * A kind of write of which a transaction has many: all that are in it are done together, before its
 * other writes. Answers in the order of the inputs.
 */
export type Batch<Input, A, E extends RunLost = never> = (
  inputs: ReadonlyArray<Input>
) => Operation<ReadonlyArray<Exit.Exit<A, E>>>

/** Those of one kind that share a transaction. */
interface Group {
  readonly attempt: (transaction: Transaction) => Effect.Effect<void, SqlError>
}

/** A write and its caller. */
export interface Write {
  /** About how many bytes it writes. */
  readonly bytes: number
  /** Does it, unless it joins a group. */
  readonly attempt: ((transaction: Transaction) => Effect.Effect<void, SqlError>) | undefined
  /** Joins the group of its kind. */
  readonly join: (groups: Map<unknown, Group>) => void
  /** Gives the caller the answer of the last attempt. */
  readonly settle: () => void
  readonly fail: (error: RunStoreError) => void
}

type Answer<A, E> = (exit: Exit.Exit<A, E | RunStoreError>) => void

export const makeWrite = <A, E extends RunLost>(
  operation: Operation<A, E>,
  bytes: number,
  answer: Answer<A, E>
): Write => {
  let result: Exit.Exit<A, E> | undefined
  const keep = (exit: Exit.Exit<A, E>) => {
    result = exit
    return Effect.void
  }
  return {
    bytes,
    attempt: (transaction) =>
      Effect.matchEffect(
        Effect.suspend(() => operation(transaction)),
        {
          onSuccess: (value) => keep(Exit.succeed(value)),
          onFailure: (error) =>
            error instanceof SqlError ? Effect.fail(error) : keep(Exit.fail(error))
        }
      ),
    join: () => {},
    settle: () => {
      if (result !== undefined) answer(result)
    },
    fail: (error) => answer(Exit.fail(error))
  }
}

class GroupOf<Input, A, E extends RunLost> implements Group {
  private readonly inputs: Array<Input> = []
  private readonly members: Array<Batched<Input, A, E>> = []

  constructor(private readonly batch: Batch<Input, A, E>) {}

  add(member: Batched<Input, A, E>): void {
    this.inputs.push(member.input)
    this.members.push(member)
  }

  attempt(transaction: Transaction): Effect.Effect<void, SqlError> {
    return Effect.map(
      Effect.suspend(() => this.batch(this.inputs)(transaction)),
      (exits) => {
        for (const [index, member] of this.members.entries()) member.result = exits[index]
      }
    )
  }
}

/** One of which a transaction has many; a class, for there is one for every step. */
class Batched<Input, A, E extends RunLost> implements Write {
  readonly attempt = undefined
  result: Exit.Exit<A, E> | undefined = undefined

  constructor(
    readonly batch: Batch<Input, A, E>,
    readonly input: Input,
    readonly bytes: number,
    private readonly answer: Answer<A, E>
  ) {}

  join(groups: Map<unknown, Group>): void {
    // what is kept under a batch is a group of that batch
    const known = groups.get(this.batch) as GroupOf<Input, A, E> | undefined
    const group = known ?? new GroupOf(this.batch)
    if (known === undefined) groups.set(this.batch, group)
    group.add(this)
  }

  settle(): void {
    if (this.result !== undefined) this.answer(this.result)
  }

  fail(error: RunStoreError): void {
    this.answer(Exit.fail(error))
  }
}

export const makeBatched = <Input, A, E extends RunLost>(
  batch: Batch<Input, A, E>,
  input: Input,
  bytes: number,
  answer: Answer<A, E>
): Write => new Batched(batch, input, bytes, answer)

/**
 * Parts for a transaction each: so many writes at most, and about so many bytes, but for one that is
 * larger by itself.
 */
export const inTransactions = (
  writes: ReadonlyArray<Write>,
  most: { readonly writes: number; readonly bytes: number }
): ReadonlyArray<ReadonlyArray<Write>> => {
  const parts: Array<ReadonlyArray<Write>> = []
  let from = 0
  let bytes = 0
  for (const [index, write] of writes.entries()) {
    const isFull = index - from >= most.writes || bytes + write.bytes > most.bytes
    if (isFull && index > from) {
      parts.push(writes.slice(from, index))
      from = index
      bytes = 0
    }
    bytes += write.bytes
  }
  parts.push(from === 0 ? writes : writes.slice(from))
  return parts
}

/** Nobody has heard of any of them yet, so they may be done in any order. */
export const runAll = (
  writes: ReadonlyArray<Write>,
  transaction: Transaction
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const groups = new Map<unknown, Group>()
    for (const write of writes) write.join(groups)
    for (const group of groups.values()) yield* group.attempt(transaction)
    for (const { attempt } of writes) if (attempt !== undefined) yield* attempt(transaction)
  })

export const failAll =
  (error: RunStoreError) =>
  (writes: Iterable<Write>): void => {
    for (const write of writes) {
      Metrics.writesFailed()
      write.fail(error)
    }
  }
