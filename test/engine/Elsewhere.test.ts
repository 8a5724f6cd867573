/** What other processes tell the runs that this one holds. */
import { assert, describe, it } from "@effect/vitest"
import { DurableDeferred } from "@effect/workflow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import * as Executor from "../../src/Executor.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Runner from "../../src/runner/Runner.js"
import { nothing } from "../../src/store/ChangeLog.js"
import { type Change, type ClaimedRun, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import {
  exitOf,
  noted,
  pass,
  register,
  temporaryFile,
  textWorkflow,
  until,
  untilTrue
} from "./support.js"

const Gate = DurableDeferred.make("Gate", { success: Schema.String })

const silent = Logger.replace(Logger.defaultLogger, Logger.none)

/** An executor on a file, whose store is as `change` has it. */
const executor = (
  filename: string,
  change: (store: RunStore["Type"]) => Partial<RunStore["Type"]> = () => ({})
) => {
  const store = Layer.effect(
    RunStore,
    Effect.map(RunStore, (store) => ({ ...store, ...change(store) }))
  ).pipe(Layer.provide(SqliteRunStore.layerFile({ filename, pollInterval: "100 millis" })))
  return Runner.layer.pipe(
    Layer.provideMerge(Executor.layerEngine),
    Layer.provideMerge(store),
    Layer.provideMerge(RunnerConfig.layer({ stopTimeout: 0, leaseDuration: "1000 days" })),
    Layer.provideMerge(silent)
  )
}

const signalled = (filename: string, runIds: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const store = yield* RunStore
    for (const runId of runIds) {
      yield* store.signal({ runId, name: "Gate", exit: `{"_tag":"Success","value":"go"}` })
    }
  }).pipe(Effect.provide(SqliteRunStore.layerFile({ filename })))

describe("what another process has written", () => {
  it.scoped("reaches all the runs that it is for, however many there are", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.gen(function* () {
        const dispatcher = yield* Dispatcher
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const runIds = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => `${n}`),
          (id) => W.execute({ id }, { discard: true })
        )
        yield* untilTrue("they wait in memory", () => dispatcher.runs.warm() === 50)
        yield* signalled(filename, runIds)
        yield* pass("1 second")
        for (const runId of runIds) {
          assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        }
      }).pipe(Effect.scoped, Effect.provide(executor(filename)))
    })
  )

  it.scoped("is read of the runs that it names, where they are held, and nowhere else", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const notes = yield* PubSub.unbounded<Change>()
      const read: Array<string> = []
      let looks = 0
      const noted = executor(filename, (store) => ({
        changes: Effect.gen(function* () {
          const own = yield* store.changes
          const all = yield* PubSub.subscribe(notes)
          yield* Effect.forkScoped(
            Effect.forever(Effect.flatMap(own.take, (change) => PubSub.publish(notes, change)))
          )
          return all
        }),
        wokenRuns: (executor) => {
          looks++
          return store.wokenRuns(executor)
        },
        histories: (runs) => {
          read.push(...runs.map(({ runId }) => runId))
          return store.histories(runs)
        }
      }))
      yield* Effect.gen(function* () {
        const dispatcher = yield* Dispatcher
        const W = textWorkflow()
        yield* register(W.toLayer(() => DurableDeferred.await(Gate)))
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("it waits in memory", () => dispatcher.runs.warm() === 1)
        yield* signalled(filename, [runId])
        yield* PubSub.publish(notes, { ...nothing, foreign: true, told: ["of another executor"] })
        yield* PubSub.publish(notes, {
          ...nothing,
          foreign: true,
          told: ["of another executor", runId]
        })
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
        assert.deepStrictEqual([read, looks], [[runId], 0])
      }).pipe(Effect.scoped, Effect.provide(noted))
    })
  )

  it.scoped("is read beside what happens here, which does not wait for it", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const readable = yield* Effect.makeLatch(false)
      let asked = 0
      const slow = executor(filename, (store) => ({
        histories: (runs) =>
          Effect.zipRight(
            Effect.suspend(() => {
              asked++
              return readable.await
            }),
            store.histories(runs)
          )
      }))
      yield* Effect.gen(function* () {
        const dispatcher = yield* Dispatcher
        const W = textWorkflow()
        const Local = textWorkflow()
        yield* register(
          W.toLayer(() => DurableDeferred.await(Gate)),
          Local.toLayer(({ id }) => noted([], id))
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("it waits in memory", () => dispatcher.runs.warm() === 1)
        yield* signalled(filename, [runId])
        yield* pass("1 second")
        yield* untilTrue("its history is asked for", () => asked === 1)
        assert.strictEqual(yield* Local.execute({ id: "here" }), "here")
        yield* readable.open
        assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("go"))
      }).pipe(Effect.scoped, Effect.provide(slow))
    })
  )
})

describe("a run that cannot even be begun", () => {
  it.scoped("is set aside, and those that were claimed with it go on", () =>
    Effect.gen(function* () {
      const broken = executor(yield* temporaryFile, (store) => ({
        claim: (options) => Effect.map(store.claim(options), (runs) => runs.map(broke))
      }))
      yield* Effect.gen(function* () {
        const store = yield* RunStore
        const W = textWorkflow()
        yield* store.create({ runId: "bad", workflow: W.name, payload: `{"id":"bad"}` })
        yield* store.create({ runId: "good", workflow: W.name, payload: `{"id":"good"}` })
        yield* register(W.toLayer(({ id }) => noted([], id)))
        assert.deepStrictEqual(yield* exitOf(W, "good"), Exit.succeed("good"))
        yield* until(
          "it is set aside",
          Effect.map(store.find("bad"), (run) => Option.getOrThrow(run).status === "suspended")
        )
        const { cause } = Option.getOrThrow(yield* store.find("bad"))
        assert.include(cause, "cannot be executed")
      }).pipe(Effect.scoped, Effect.provide(broken))
    })
  )
})

/** What a store at fault may answer with. */
const broke = (run: ClaimedRun): ClaimedRun =>
  run.held.runId === "bad"
    ? {
        ...run,
        history: {
          ...run.history,
          get signals(): never {
            throw new Error("no signals")
          }
        }
      }
    : run
