/** What this store writes, and what it reads after it. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { nothing } from "../ChangeLog.js"
import { bytesOf, type Creation, createPending, createWithOptions } from "../Creation.js"
import type { GroupCommit } from "../GroupCommit.js"
import type { PortableTransaction } from "../Portable.js"
import { portableWrites } from "../PortableOperations.js"
import { removeRun } from "../Removal.js"
import type {
  Change,
  CreatedRun,
  Held,
  History,
  RunLost,
  RunStore,
  RunStoreError,
  ScheduleChange
} from "../RunStore.js"
import * as Schedules from "../ScheduleRows.js"
import * as StartOptions from "../StartOptions.js"
import { type Ending, terminate } from "../Terminate.js"
import type { Operation } from "../Write.js"
import * as Claims from "./Claims.js"
import * as Crashes from "./Crashes.js"
import { createAll, creating } from "./Creation.js"
import * as Executors from "./Executors.js"
import type * as Listen from "./Listen.js"
import { inTransaction } from "./Numbered.js"
import * as Progress from "./Progress.js"
import type { Read } from "./Reads.js"
import * as Release from "./Release.js"
import * as Signals from "./Signals.js"
import { takeOver } from "./TakeOver.js"
import type { Queues } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import * as WakeUps from "./WakeUps.js"

export const writes = (
  { write, writeBatched }: GroupCommit<Transaction>,
  { standFor }: Listen.Listener,
  queues: Queues
) => {
  const registered: Executors.Registered = new Map()
  const onQueue = () => {
    queues.known = true
  }
  const createPlain = writeBatched(createAll, bytesOf)
  const create = (creation: Creation) => {
    if (creation.run.queue !== undefined) onQueue()
    return StartOptions.has(creation.run)
      ? write(creating(createWithOptions(creation)), bytesOf(creation), creation.run.runId)
      : createPlain(creation)
  }
  return {
    ...portableWrites((operation, bytes, run) => write(portably(operation), bytes, run), {
      onQueue,
      removeRun
    }),
    create: (run, claimFor) =>
      // only what is created in somebody's name can be refused
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      create({ run, claimFor }) as Effect.Effect<CreatedRun, RunStoreError>,
    by: (held) => ({
      create: (run, claimFor) => create({ run, claimFor, by: held }),
      signal: (signal) =>
        write(Claims.asHolder(held, WakeUps.signal(signal)), signal.exit.length, signal.runId),
      wake: (runId) => write(Claims.asHolder(held, WakeUps.wake(runId)), 0, runId),
      requestInterrupt: (runId) =>
        write(Claims.asHolder(held, WakeUps.requestInterrupt(runId)), 0, runId),
      interruptChild: (runId) =>
        write(Claims.asHolder(held, WakeUps.interruptChild(held, runId)), 0, runId)
    }),
    recordStep: writeBatched(Progress.recordSteps, ({ exit }) => exit.length),
    noteStep: writeBatched(Progress.noteSteps, () => 0),
    proceed: (held) => write(Progress.proceed(held), 0, held.runId),
    evict: (runs) => write(Progress.evict(runs)),
    complete: writeBatched(Progress.completeAll, ({ exit }) => exit.length),
    release: (runs) => write(Release.release(runs)),
    sawWakeups: (runs) => write(Claims.sawWakeups(runs)),
    signal: writeBatched(
      WakeUps.signals,
      ({ exit }) => exit.length,
      ({ runId }) => runId
    ),
    wake: (runId) => write(WakeUps.wake(runId), 0, runId),
    requestInterrupt: (runId) => write(WakeUps.requestInterrupt(runId), 0, runId),
    terminate: terminate((operation, run) => write(ending(operation), 0, run)),
    expire: (options) => write(Signals.expire(options)),
    wakeDue: (limit) => write(WakeUps.wakeDue(limit, onQueue)),
    register: (executor) => Effect.tap(write(Executors.register(executor, registered)), standFor),
    renew: (executor, lease) => write(Executors.renew(executor, lease, registered)),
    releaseAll: (executor, limit) => write(Release.releaseAll(executor, limit)),
    unregister: (executor) => write(Executors.unregister(executor, registered)),
    takeOver: (options) => write(takeOver(options)),
    waitsForRoom: writeBatched(Crashes.waitForRoom, () => 0),
    letOthersTry: (held) => write(Crashes.letOthersTry(held)),
    progressed: writeBatched(Crashes.progressed, () => 0),
    survived: (runs) => write(Crashes.survived(runs)),
    changeSchedule: (change) => {
      if (change.queue !== undefined) onQueue()
      return write(
        changeSchedule(change),
        change.schedule.payload.length,
        `schedule/${change.schedule.name}`
      )
    }
  } satisfies Partial<RunStore["Type"]>
}

const ending =
  <A>(operation: Operation<Ending, A>): Operation<Transaction, A> =>
  (transaction) =>
    operation({
      ...inTransaction(transaction),
      wakeParents: (key) => WakeUps.wakeParents(transaction, key)
    })

const changeSchedule =
  (change: ScheduleChange): Operation<Transaction, Option.Option<ReadonlyArray<CreatedRun>>> =>
  (transaction) =>
    Schedules.change(change)(inTransaction(transaction), {
      create: (runs) => creating(createPending(runs))(transaction),
      interrupt: (runId) => WakeUps.requestInterrupt(runId)(transaction)
    })

/** Writes after which histories are read, when they are committed. */
export const readingAfter = (
  { write }: GroupCommit<Transaction>,
  {
    publish,
    queues,
    read
  }: {
    readonly read: Read
    readonly queues: Queues
    readonly publish: (change: Change) => void
  }
) => {
  const historyOf = (held: Held) =>
    Effect.flatMap(
      read(Claims.histories([held])),
      ([found]): Effect.Effect<History, RunStoreError | RunLost> =>
        found?._tag === "Some" ? Effect.succeed(found.value) : Effect.fail(Claims.lost(held))
    )
  return {
    // what is claimed is read, or given back
    claim: (options) =>
      Effect.flatMap(
        write(
          Claims.claim(options, () => {
            queues.known = true
          })
        ),
        (taken) =>
          taken.length === 0
            ? Effect.succeed([])
            : read(Claims.read(taken, options.maxRunBytes)).pipe(
                Effect.onError(() =>
                  Effect.ignore(
                    write(Release.release(taken.map(({ held }) => ({ held, timers: [] }))))
                  )
                ),
                Effect.tap((claimed) => {
                  // one that was ended meanwhile: whoever claims got less than there may be
                  if (claimed.length < taken.length) publish({ ...nothing, pending: true })
                  return Effect.void
                })
              )
      ),
    suspend: (suspension) =>
      Effect.flatMap(write(Progress.suspend(suspension), 0, suspension.held.runId), (suspended) =>
        suspended ? Effect.succeedNone : Effect.asSome(historyOf(suspension.held))
      ),
    history: (held) =>
      Effect.zipRight(write(Claims.aboutToRead(held), 0, held.runId), historyOf(held))
  } satisfies Partial<RunStore["Type"]>
}

/** An operation that is written for all stores. */
const portably =
  <A>(operation: Operation<PortableTransaction, A>): Operation<Transaction, A> =>
  (transaction) =>
    operation(inTransaction(transaction))
