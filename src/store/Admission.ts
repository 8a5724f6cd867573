/**
 * Queues: which of the runs that wait in them may begin, so that no more are under way than is allowed,
 * by all executors together.
 *
 * A queue has a lane for each key. A run of a lane needs a slot to be `pending` or `running`; without
 * one it is held back in its lane. A trigger of the database sends it there, whatever makes it pending,
 * and another takes its slot when it suspends or ends, and each marks the lane: so no path of the code
 * can forget it. Here the marks are looked at, in the transaction that made them or a later one, and
 * slots are given, lane after lane in turn: one with many runs delays no other.
 *
 * Who does it has the queue's row locked, where transactions are not serial. What another has not
 * committed counts as it was: a slot is given later, never too early.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Dialect } from "./Dialect.js"
import type { Portable, PortableTransaction } from "./Portable.js"
import { slots } from "./Rows.js"
import type { Json, Millis, QueueInfo, QueueLimits, QueueOf } from "./RunStore.js"
import * as Unbegun from "./Unbegun.js"

/** What `paused` of a queue says. */
const pauses = {
  none: 0,
  /** Nothing of it begins. */
  begins: 1,
  /** Nor does anything go on. */
  parks: 2
} as const

/** So many runs get a slot in one transaction; the rest in the next. */
const largest = 200

interface QueueRow {
  readonly id: number
  readonly name: string
  readonly declared: Json
  readonly override: Json | null
  readonly paused: number
  readonly turn: number
}

const queueColumns = "id, name, declared, override, paused, turn"

const limitsIn = (json: Json): QueueLimits => JSON.parse(json)

const limitsOf = ({ declared, override }: QueueRow): QueueLimits => limitsIn(override ?? declared)

const upsertQueue = `
  INSERT INTO workflow_queues (name, declared) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET declared = excluded.declared
  WHERE workflow_queues.declared <> excluded.declared`

const selectLane = `
  SELECT id AS lane, queue FROM workflow_lanes
  WHERE queue = (SELECT id FROM workflow_queues WHERE name = ?) AND key = ?`

/** A lane, and the queue that it is one of. */
export interface Lane {
  readonly lane: number
  readonly queue: number
}

const insertLane = `
  INSERT INTO workflow_lanes (queue, key) SELECT id, CAST(? AS text) FROM workflow_queues WHERE name = ?
  ON CONFLICT (queue, key) DO NOTHING`

const markLane =
  "INSERT INTO workflow_lane_marks (queue, lane) VALUES (?, ?) ON CONFLICT DO NOTHING"

/** The lane of a run, if it is there. */
export const find = (transaction: PortableTransaction, { key, name }: QueueOf) =>
  Effect.map(transaction.rows<Lane>(selectLane, [name, key]), ([row]) => row)

/** The lane of a run, which is there when this returns. */
export const laneOf = (
  transaction: PortableTransaction,
  queue: QueueOf
): Effect.Effect<Lane, SqlError> =>
  Effect.gen(function* () {
    const declared = JSON.stringify(queue.limits)
    const changed = yield* transaction.changes(upsertQueue, [queue.name, declared])
    const known = yield* find(transaction, queue)
    if (known === undefined) yield* transaction.changes(insertLane, [queue.key, queue.name])
    const lane = known ?? (yield* find(transaction, queue))
    if (lane === undefined) {
      return yield* Effect.dieMessage(`Queue ${queue.name} has no lane ${queue.key}`)
    }
    // other limits may let others begin
    if (changed > 0) yield* markAll(transaction, queue.name)
    return lane
  })

const markWaiting = `
  INSERT INTO workflow_lane_marks (queue, lane)
  SELECT lanes.queue, lanes.id FROM workflow_lanes lanes
  WHERE lanes.queue = ? AND EXISTS (
    SELECT 1 FROM workflow_runs r
    WHERE r.queue = lanes.queue AND r.lane = lanes.id AND r.gate = 2 AND r.status = 'suspended'
  )
  ON CONFLICT DO NOTHING`

/** The mark of a queue as a whole, which no lane has. */
const whole = (queue: number) => -queue

const markWhole = `
  INSERT INTO workflow_lane_marks (queue, lane)
  SELECT id, -id FROM workflow_queues WHERE name = ? ON CONFLICT DO NOTHING`

/** What has not begun is to wait anew, and every lane to be looked at: other runs may begin than before. */
const markAll = (transaction: PortableTransaction, queue: string) =>
  transaction.changes(markWhole, [queue])

const markFirst = `
  INSERT INTO workflow_lane_marks (queue, lane)
  SELECT lanes.queue, lanes.id FROM workflow_lanes lanes
  WHERE lanes.queue = (SELECT id FROM workflow_queues WHERE name = ?) LIMIT 1
  ON CONFLICT DO NOTHING`

/** So that the queue is looked at; its lanes are as they were noted. */
const markOne = (transaction: PortableTransaction, queue: string) =>
  transaction.changes(markFirst, [queue])

export const mark = (transaction: PortableTransaction, { lane, queue }: Lane) =>
  transaction.changes(markLane, [queue, lane])

/** In the order in which all lock them. */
const markedQueues = "SELECT DISTINCT queue AS id FROM workflow_lane_marks ORDER BY queue"

const lockQueue = ({ forUpdate }: Dialect) =>
  `SELECT ${queueColumns} FROM workflow_queues WHERE id = ? ${forUpdate}`

/** So many lanes are looked at in one transaction; the rest in the next. */
const mostMarks = 500

const takeMarks = `
  DELETE FROM workflow_lane_marks WHERE lane IN (
    SELECT lane FROM workflow_lane_marks WHERE queue = ? ORDER BY lane LIMIT ${mostMarks}
  ) RETURNING lane`

const marksOf = (transaction: PortableTransaction, queue: number) =>
  Effect.map(transaction.rows<{ readonly lane: number }>(takeMarks, [queue]), (rows) =>
    rows.map(({ lane }) => lane)
  )

/** Gives slots wherever something has changed since that was last done. */
export const admitMarked = (transaction: PortableTransaction): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const queues = yield* transaction.rows<{ readonly id: number }>(markedQueues)
    for (const { id } of queues) {
      const [queue] = yield* transaction.rows<QueueRow>(lockQueue(transaction.dialect), [id])
      if (queue !== undefined) yield* admit(transaction, queue)
    }
  })

const admit = (transaction: PortableTransaction, queue: QueueRow): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const limits = limitsOf(queue)
    const marked = yield* marksOf(transaction, queue.id)
    if (marked.includes(whole(queue.id))) {
      yield* Unbegun.takeBack(transaction, queue.id, queue.paused === pauses.parks)
      yield* transaction.changes(markWaiting, [queue.id])
      marked.push(...(yield* marksOf(transaction, queue.id)))
    }
    const lanes = new Set(marked.filter((lane) => lane !== whole(queue.id)))
    for (const lane of lanes) yield* look(transaction, { lane, queue: queue.id }, limits)
    if (marked.length >= mostMarks) transaction.log.becamePending()
    const giving = { transaction, queue, limits }
    if (queue.paused === pauses.none) yield* giveSlots(giving)
    else if (queue.paused === pauses.begins) yield* goOn(giving)
  })

/** Of those that have begun, which only go on. */
const hasBegun = "AND started_at IS NOT NULL"

const isWaiting = (more = "") => `
  SELECT 1 FROM workflow_runs
  WHERE queue = ? AND lane = ? AND gate = 2 AND status = 'suspended' ${more} LIMIT 1`

const countOfLane = `
  SELECT count(*) AS runs FROM workflow_runs WHERE queue = ? AND lane = ? AND slot IS NOT NULL`

const setReady = "UPDATE workflow_lanes SET ready = ?, next_at = CAST(? AS bigint) WHERE id = ?"

const setNotReady = "UPDATE workflow_lanes SET ready = 0 WHERE id = ?"

interface Count {
  readonly runs: number
}

const hasRoom = (
  transaction: PortableTransaction,
  { lane, queue }: Lane,
  { perKey }: QueueLimits
): Effect.Effect<boolean, SqlError> =>
  perKey === undefined
    ? Effect.succeed(true)
    : Effect.map(
        transaction.rows<Count>(countOfLane, [queue, lane]),
        ([count]) => (count?.runs ?? 0) < perKey
      )

const waitsIn = (transaction: PortableTransaction, { lane, queue }: Lane, more = "") =>
  Effect.map(transaction.rows(isWaiting(more), [queue, lane]), (rows) => rows.length > 0)

/**
 * Whether a run of it may have a slot is noted with the lane, where those that may are found in turn. Until
 * the time for which it waits, if it does, only those that go on may: no rate bounds them.
 */
const look = (
  transaction: PortableTransaction,
  lane: Lane,
  limits: QueueLimits
): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const waits = yield* waitsIn(transaction, lane)
    const { rate } = limits
    const nextAt = waits && rate !== undefined ? yield* whenAllowed(transaction, lane, rate) : null
    const may = nextAt === null ? waits : yield* waitsIn(transaction, lane, hasBegun)
    const ready = may && (yield* hasRoom(transaction, lane, limits))
    yield* transaction.changes(setReady, [ready ? 1 : 0, nextAt, lane.lane])
    if (nextAt !== null) transaction.log.timer(nextAt)
  })

const forgetBegins = "DELETE FROM workflow_begins WHERE lane = ? AND at <= ?"

const countBegins = `
  SELECT count(*) AS runs, min(at) AS oldest, max(at) AS newest FROM workflow_begins WHERE lane = ?`

interface Begins extends Count {
  readonly oldest: Millis | null
  readonly newest: Millis | null
}

const noteAgain = `
  INSERT INTO workflow_begins (lane, at, run)
  SELECT lane, CAST(? AS bigint), run FROM workflow_begins WHERE lane = ? AND at > ?
  ON CONFLICT DO NOTHING`

const forgetAhead = "DELETE FROM workflow_begins WHERE lane = ? AND at > ?"

/** Of a clock that was set back some lie ahead: nobody waits until it is there again. */
const bringBack = (transaction: PortableTransaction, { lane }: Lane) =>
  Effect.zipRight(
    transaction.changes(noteAgain, [transaction.now, lane, transaction.now]),
    transaction.changes(forgetAhead, [lane, transaction.now])
  )

/** When the next may begin; `null`: now. */
const whenAllowed = (
  transaction: PortableTransaction,
  lane: Lane,
  { limit, window }: NonNullable<QueueLimits["rate"]>
): Effect.Effect<Millis | null, SqlError> =>
  Effect.gen(function* () {
    const { now } = transaction
    yield* transaction.changes(forgetBegins, [lane.lane, now - window])
    const [begins] = yield* transaction.rows<Begins>(countBegins, [lane.lane])
    if (begins === undefined) return null
    if ((begins.newest ?? now) > now) yield* bringBack(transaction, lane)
    if (begins.runs < limit) return null
    return Math.min(begins.oldest ?? now, now) + window
  })

const nextLane = `
  SELECT id, next_at FROM workflow_lanes WHERE queue = ? AND ready = 1 ORDER BY turn, id LIMIT 1`

const nextRun = (more: string, { skipLocked }: Dialect) => `
  SELECT id, started_at FROM workflow_runs
  WHERE queue = ? AND lane = ? AND gate = 2 AND status = 'suspended' ${more}
  ORDER BY priority, id LIMIT 1 ${skipLocked}`

const countOfQueue =
  "SELECT count(*) AS runs FROM workflow_runs WHERE queue = ? AND slot IS NOT NULL"

const giveSlot = `
  UPDATE workflow_runs SET slot = ?, status = 'pending', gate = NULL
  WHERE id = ? AND gate = 2 AND status = 'suspended'`

const noteBegin =
  "INSERT INTO workflow_begins (lane, at, run) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

const setTurn = "UPDATE workflow_lanes SET turn = ? WHERE id = ?"

const setTurns = "UPDATE workflow_queues SET turn = ? WHERE id = ?"

interface Waiting {
  readonly id: number
  readonly started_at: Millis | null
}

interface Giving {
  readonly transaction: PortableTransaction
  readonly queue: QueueRow
  readonly limits: QueueLimits
}

/** How many more may be under way. */
const roomOf = ({ limits: { concurrency }, queue, transaction }: Giving) =>
  concurrency === undefined
    ? Effect.succeed(Number.POSITIVE_INFINITY)
    : Effect.map(
        transaction.rows<Count>(countOfQueue, [queue.id]),
        ([count]) => concurrency - (count?.runs ?? 0)
      )

const isInterrupted = "AND interrupt_requested = 1"

/** One that is interrupted is to end, whatever its priority: others may wait for that. */
const nextOf = ({ queue, transaction }: Giving, lane: number, more: string) =>
  Effect.gen(function* () {
    for (const which of [isInterrupted, more]) {
      const [run] = yield* transaction.rows<Waiting>(nextRun(which, transaction.dialect), [
        queue.id,
        lane
      ])
      if (run !== undefined) return run
    }
    return undefined
  })

/** Gives the next run of a lane a slot. Answers whether there was one. */
const giveOne = (giving: Giving, lane: number, more = "") =>
  Effect.gen(function* () {
    const { limits, transaction } = giving
    const run = yield* nextOf(giving, lane, more)
    if (run === undefined) return false
    const slot = limits.keepsSlot === true ? slots.kept : slots.givenUp
    yield* transaction.changes(giveSlot, [slot, run.id])
    // one that has begun before only goes on: no rate bounds that
    if (limits.rate !== undefined && run.started_at === null) {
      yield* transaction.changes(noteBegin, [lane, transaction.now, run.id])
    }
    transaction.log.becamePending()
    return true
  })

interface ReadyLane {
  readonly id: number
  /** When others than those that go on may. */
  readonly next_at: Millis | null
}

const giveSlots = (giving: Giving): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const { limits, queue, transaction } = giving
    let { turn } = queue
    const most = Math.min(yield* roomOf(giving), largest)
    for (let given = 0; given < most; given++) {
      const [lane] = yield* transaction.rows<ReadyLane>(nextLane, [queue.id])
      if (lane === undefined) break
      const found = yield* giveOne(giving, lane.id, lane.next_at === null ? "" : hasBegun)
      yield* transaction.changes(setTurn, [++turn, lane.id])
      yield* look(transaction, { lane: lane.id, queue: queue.id }, limits)
      if (!found) {
        // another transaction has it: whoever is next looks again
        yield* transaction.changes(setNotReady, [lane.id])
        yield* mark(transaction, { lane: lane.id, queue: queue.id })
      }
      if (given + 1 === largest) {
        // there may be more
        yield* mark(transaction, { lane: lane.id, queue: queue.id })
        transaction.log.becamePending()
      }
    }
    if (turn !== queue.turn) yield* transaction.changes(setTurns, [turn, queue.id])
  })

const lanesToGoOn = `
  SELECT DISTINCT lane FROM workflow_runs
  WHERE queue = ? AND gate = 2 AND status = 'suspended' AND started_at IS NOT NULL
  ORDER BY lane LIMIT ${largest}`

/** In a queue that is paused only what has begun goes on: also where another lane's run has made room. */
const goOn = (giving: Giving): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const { limits, queue, transaction } = giving
    let room = Math.min(yield* roomOf(giving), largest)
    if (room <= 0) return
    const lanes = yield* transaction.rows<{ readonly lane: number }>(lanesToGoOn, [queue.id])
    for (const { lane } of lanes) {
      while (room > 0 && (yield* hasRoom(transaction, { lane, queue: queue.id }, limits))) {
        if (!(yield* giveOne(giving, lane, hasBegun))) break
        room--
      }
    }
    // there may be more
    if (room === 0 && limits.concurrency === undefined) transaction.log.becamePending()
  })

/** When the next lane may begin another. */
export const selectNext = `
  SELECT next_at FROM workflow_lanes WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1`

const selectDue = `
  SELECT id AS lane, queue FROM workflow_lanes
  WHERE next_at IS NOT NULL AND next_at <= ? ORDER BY next_at LIMIT ?`

/** Lanes whose time has come are looked at again. Answers with how many. */
export const markDue = (
  transaction: PortableTransaction,
  limit: number
): Effect.Effect<number, SqlError> =>
  Effect.gen(function* () {
    const due = yield* transaction.rows<Lane>(selectDue, [transaction.now, limit])
    for (const lane of due) yield* mark(transaction, lane)
    return due.length
  })

const selectQueues = `
  SELECT ${queueColumns},
    (SELECT count(*) FROM workflow_runs r
      WHERE r.queue = workflow_queues.id AND r.slot IS NOT NULL) AS running,
    (SELECT count(*) FROM workflow_runs r
      WHERE r.queue = workflow_queues.id AND r.gate = 2 AND r.status = 'suspended') AS waiting
  FROM workflow_queues ORDER BY name`

interface QueueCounts extends QueueRow {
  readonly running: number
  readonly waiting: number
}

/** All queues, with how many of each are under way and wait. */
export const all = (sql: Portable): Effect.Effect<ReadonlyArray<QueueInfo>, SqlError> =>
  Effect.map(sql.rows<QueueCounts>(selectQueues), (rows) =>
    rows.map((row) => ({
      name: row.name,
      declared: limitsIn(row.declared),
      ...(row.override === null ? {} : { override: limitsIn(row.override) }),
      paused: row.paused !== pauses.none,
      ...(row.paused === pauses.parks ? { parks: true as const } : {}),
      running: row.running,
      waiting: row.waiting
    }))
  )

const selectQueue = "SELECT 1 FROM workflow_queues WHERE name = ?"

const setOverride = "UPDATE workflow_queues SET override = ? WHERE name = ?"

const setPaused = "UPDATE workflow_queues SET paused = ? WHERE name = ?"

/** Changes what is given of it. Answers whether there is such a queue. */
export const change = (
  transaction: PortableTransaction,
  {
    name,
    override,
    parks = false,
    paused
  }: {
    readonly name: string
    readonly override?: QueueLimits | null | undefined
    readonly paused?: boolean | undefined
    readonly parks?: boolean | undefined
  }
): Effect.Effect<boolean, SqlError> =>
  Effect.gen(function* () {
    let found = (yield* transaction.rows(selectQueue, [name])).length
    if (override !== undefined) {
      const json = override === null ? null : JSON.stringify(override)
      found = yield* transaction.changes(setOverride, [json, name])
    }
    if (paused !== undefined) {
      const how = parks ? pauses.parks : pauses.begins
      found = yield* transaction.changes(setPaused, [paused ? how : pauses.none, name])
      transaction.log.pausesChanged()
    }
    if ((override !== undefined || paused === true) && found > 0) yield* markAll(transaction, name)
    else if (paused === false && found > 0) yield* markOne(transaction, name)
    return found > 0
  })

const selectParked = `SELECT name FROM workflow_queues WHERE paused = ${pauses.parks} ORDER BY name`

/** Those of which nothing goes on. */
export const parked = (sql: Portable): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.map(sql.rows<{ readonly name: string }>(selectParked), (rows) =>
    rows.map(({ name }) => name)
  )

const selectAny = "SELECT 1 FROM workflow_queues LIMIT 1"

/** Whether there are any. */
export const hasAny = (sql: Portable): Effect.Effect<boolean, SqlError> =>
  Effect.map(sql.rows(selectAny), (rows) => rows.length > 0)
