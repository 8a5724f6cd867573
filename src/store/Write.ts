/** Writes, and how those that share a transaction are done in it. */
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metrics from "../telemetry/Metrics.js"
import type { RunLost, RunStoreError } from "./RunStore.js"

/**
 * What is done inside a transaction `T`. It may run more than once, each time in a new one.
 * `RunLost` is an answer: an operation that ends with it has written nothing.
 */
export type Operation<T, A, E extends RunLost = never> = (
  transaction: T
) => Effect.Effect<A, E | SqlError>

/**
 * A kind of write of which a transaction has many: all that are in it are done together, before its
 * other writes. Answers in the order of the inputs.
 */
export type Batch<T, Input, A, E extends RunLost = never> = (
  inputs: ReadonlyArray<Input>
) => Operation<T, ReadonlyArray<Exit.Exit<A, E>>>

/** Those of one kind that share a transaction. */
interface Group<T> {
  readonly attempt: (transaction: T) => Effect.Effect<void, SqlError>
}

/** A write and its caller. */
export interface Write<T> {
  /** About how many bytes it writes. */
  readonly bytes: number
  /** The run that it is about, if it is about one: where rows are locked they are to be in an order. */
  readonly run: string
  /** Does it, unless it joins a group. */
  readonly attempt: ((transaction: T) => Effect.Effect<void, SqlError>) | undefined
  /** Joins the group of its kind. */
  readonly join: (groups: Map<unknown, Group<T>>) => void
  /** Gives the caller the answer of the last attempt. */
  readonly settle: () => void
  readonly fail: (error: RunStoreError) => void
}

type Answer<A, E> = (exit: Exit.Exit<A, E | RunStoreError>) => void

export const makeWrite = <T, A, E extends RunLost>(
  operation: Operation<T, A, E>,
  bytes: number,
  run: string,
  answer: Answer<A, E>
): Write<T> => {
  let result: Exit.Exit<A, E> | undefined
  const keep = (exit: Exit.Exit<A, E>) => {
    result = exit
    return Effect.void
  }
  return {
    bytes,
    run,
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

class GroupOf<T, Input, A, E extends RunLost> implements Group<T> {
  private readonly inputs: Array<Input> = []
  private readonly members: Array<Batched<T, Input, A, E>> = []

  constructor(private readonly batch: Batch<T, Input, A, E>) {}

  add(member: Batched<T, Input, A, E>): void {
    this.inputs.push(member.input)
    this.members.push(member)
  }

  attempt(transaction: T): Effect.Effect<void, SqlError> {
    return Effect.map(
      Effect.suspend(() => this.batch(this.inputs)(transaction)),
      (exits) => {
        for (const [index, member] of this.members.entries()) member.result = exits[index]
      }
    )
  }
}

/**
 * One of which a transaction has many; a class, for there is one for every step. With a run it joins no
 * group.
 */
class Batched<T, Input, A, E extends RunLost> implements Write<T> {
  readonly attempt: ((transaction: T) => Effect.Effect<void, SqlError>) | undefined
  readonly run: string
  result: Exit.Exit<A, E> | undefined = undefined

  constructor(
    readonly batch: Batch<T, Input, A, E>,
    readonly input: Input,
    readonly bytes: number,
    private readonly answer: Answer<A, E>,
    run: string | undefined
  ) {
    this.run = run ?? ""
    this.attempt = run === undefined ? undefined : (transaction) => this.alone(transaction)
  }

  private alone(transaction: T): Effect.Effect<void, SqlError> {
    return Effect.map(this.batch([this.input])(transaction), ([exit]) => {
      this.result = exit
    })
  }

  join(groups: Map<unknown, Group<T>>): void {
    if (this.attempt !== undefined) return
    // what is kept under a batch is a group of that batch
    const known = groups.get(this.batch) as GroupOf<T, Input, A, E> | undefined
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

/** @param run the one that it is about, where it is to be done by itself */
export const makeBatched = <T, Input, A, E extends RunLost>(
  batch: Batch<T, Input, A, E>,
  input: Input,
  bytes: number,
  answer: Answer<A, E>,
  run: string | undefined
): Write<T> => new Batched(batch, input, bytes, answer, run)

/** Those of the writes that are of one kind: their inputs, and how they are answered. */
export const ofKind = <T, Input, A, E extends RunLost>(
  writes: ReadonlyArray<Write<T>>,
  batch: Batch<T, Input, A, E>
): {
  readonly inputs: ReadonlyArray<Input>
  readonly answer: (exits: ReadonlyArray<Exit.Exit<A, E>>) => void
} => {
  const isOfKind = (write: Write<T>): write is Batched<T, Input, A, E> =>
    write instanceof Batched && write.batch === batch
  const found = writes.filter(isOfKind)
  return {
    inputs: found.map(({ input }) => input),
    answer: (exits) => {
      for (const [index, write] of found.entries()) write.result = exits[index]
    }
  }
}

/**
 * Parts for a transaction each: so many writes at most, and about so many bytes, but for one that is
 * larger by itself.
 */
export const inTransactions = <T>(
  writes: ReadonlyArray<Write<T>>,
  most: { readonly writes: number; readonly bytes: number }
): ReadonlyArray<ReadonlyArray<Write<T>>> => {
  const parts: Array<ReadonlyArray<Write<T>>> = []
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
export const runAll = <T>(
  writes: ReadonlyArray<Write<T>>,
  transaction: T
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const groups = new Map<unknown, Group<T>>()
    for (const write of writes) write.join(groups)
    for (const group of groups.values()) yield* group.attempt(transaction)
    for (const { attempt } of writes) if (attempt !== undefined) yield* attempt(transaction)
  })

export const failAll =
  (error: RunStoreError) =>
  <T>(writes: Iterable<Write<T>>): void => {
    for (const write of writes) {
      Metrics.writesFailed()
      write.fail(error)
    }
  }
