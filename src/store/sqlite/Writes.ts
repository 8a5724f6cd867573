/** What this store writes, and what it reads after it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Admission from "../Admission.js"
import { nothing } from "../ChangeLog.js"
import { bytesOf, type Creation, createPending, createWithOptions } from "../Creation.js"
import type { GroupCommit } from "../GroupCommit.js"
import { portableWrites } from "../PortableOperations.js"
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
import type { OpenFile } from "./OpenFile.js"
import * as Progress from "./Progress.js"
import type { Read } from "./Reads.js"
import * as Release from "./Release.js"
import { removeRun } from "./Removal.js"
import * as Signals from "./Signals.js"
import { takeOver } from "./TakeOver.js"
import type { Queues } from "./Transact.js"
import type { Transaction } from "./Transaction.js"
import * as WakeUps from "./WakeUps.js"

export const writes = (
  { write, writeBatched }: GroupCommit<Transaction>,
  file: OpenFile,
  queues: Queues
) => {
  const onQueue = () => {
    queues.known = true
  }
  const createPlain = writeBatched(createAll, bytesOf)
  const create = (creation: Creation) => {
    if (creation.run.queue !== undefined) onQueue()
    return StartOptions.has(creation.run)
      ? write(creating(createWithOptions(creation)), bytesOf(creation))
      : createPlain(creation)
  }
  return {
    ...portableWrites(write, {
      onQueue,
      removeRun
    }),
    create: (run, claimFor) =>
      // only what is created in somebody's name can be refused
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
      create({ run, claimFor }) as Effect.Effect<CreatedRun, RunStoreError>,
    by: (held) => ({
      create: (run, claimFor) => create({ run, claimFor, by: held }),
      signal: (signal) => write(Claims.asHolder(held, WakeUps.signal(signal)), signal.exit.length),
      wake: (runId) => write(Claims.asHolder(held, WakeUps.wake(runId))),
      requestInterrupt: (runId) => write(Claims.asHolder(held, WakeUps.requestInterrupt(runId))),
      interruptChild: (runId) => write(Claims.asHolder(held, WakeUps.interruptChild(held, runId)))
    }),
    recordStep: writeBatched(Progress.recordSteps, ({ exit }) => exit.length),
    noteStep: (step) => write(Progress.noteStep(step)),
    proceed: (held) => write(Progress.proceed(held)),
    evict: (runs) => write(Progress.evict(runs)),
    complete: writeBatched(Progress.completeAll, ({ exit }) => exit.length),
    release: (runs) => write(Release.release(runs)),
    sawWakeups: (runs) => write(Claims.sawWakeups(runs)),
    signal: (signal) => write(WakeUps.signal(signal), signal.exit.length),
    wake: (runId) => write(WakeUps.wake(runId)),
    requestInterrupt: (runId) => write(WakeUps.requestInterrupt(runId)),
    terminate: terminate((operation, run) => write(ending(operation), 0, run)),
    expire: (options) => write(Signals.expire(options)),
    wakeDue: (limit) => write(WakeUps.wakeDue(limit, onQueue)),
    register: (executor) => write(Executors.register(executor)),
    renew: (executor, lease) =>
      Effect.zipRight(file.check, write(Executors.renew(executor, lease))),
    releaseAll: (executor, limit) => write(Release.releaseAll(executor, limit)),
    unregister: (executor) => write(Executors.unregister(executor)),
    takeOver: (options) => write(takeOver(options)),
    waitsForRoom: (held) => write(Crashes.waitsForRoom(held)),
    letOthersTry: (held) => write(Crashes.letOthersTry(held)),
    progressed: (held) => write(Crashes.progressed(held)),
    survived: (runs) => write(Crashes.survived(runs)),
    changeSchedule: (change) => {
      if (change.queue !== undefined) onQueue()
      return write(changeSchedule(change), change.schedule.payload.length)
    }
  } satisfies Partial<RunStore["Type"]>
}

const ending =
  <A>(operation: Operation<Ending, A>): Operation<Transaction, A> =>
  (transaction) =>
    operation({
      ...transaction,
      wakeParents: (key) => WakeUps.wakeParents(transaction, key)
    })

const changeSchedule =
  (change: ScheduleChange): Operation<Transaction, Option.Option<ReadonlyArray<CreatedRun>>> =>
  (transaction) =>
    Schedules.change(change)(transaction, {
      create: (runs) => creating(createPending(runs))(transaction),
      interrupt: (runId) => WakeUps.requestInterrupt(runId)(transaction)
    })

/** Writes after which histories are read: when they are committed, and out of the write lock. */
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
      ([found = Option.none()]): Effect.Effect<History, RunLost> =>
        Option.isSome(found) ? Effect.succeed(found.value) : Claims.lost(held)
    )
  return {
    // what is claimed is read, or given back
    claim: (options) =>
      Effect.flatMap(write(lookForQueues(queues, Claims.claim(options))), (taken) =>
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
      Effect.flatMap(write(Progress.suspend(suspension)), (suspended) =>
        suspended ? Effect.succeedNone : Effect.asSome(historyOf(suspension.held))
      ),
    history: (held) => Effect.zipRight(write(Claims.aboutToRead(held)), historyOf(held))
  } satisfies Partial<RunStore["Type"]>
}

/** Another process may have made the first of them. */
const lookForQueues =
  <A>(queues: Queues, operation: Operation<Transaction, A>): Operation<Transaction, A> =>
  (transaction) =>
    queues.known
      ? operation(transaction)
      : Effect.flatMap(Admission.hasAny(transaction), (any) => {
          queues.known = any
          return operation(transaction)
        })
