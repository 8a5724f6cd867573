/** Queues in SQLite, and workers that are drained as steps are. */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import { assert, describe, it } from "@effect/vitest"
import { DurableQueue } from "@effect/workflow"
import Sqlite from "better-sqlite3"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as QueueWorker from "../../src/queues/QueueWorker.js"
import * as SqlitePersistedQueue from "../../src/queues/SqlitePersistedQueue.js"
import { Runner } from "../../src/runner/Runner.js"
import {
  exitOf,
  layerFile,
  pass,
  temporaryFile,
  textWorkflow,
  turns,
  until,
  untilTrue
} from "./support.js"

const Letters = PersistedQueue.make({ name: "letters", schema: Schema.String })

/** What a process of its own has. */
const opened = (filename: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const queues = SqlitePersistedQueue.layerFile({ filename })
    const context = yield* Scope.extend(Layer.build(Layer.fresh(queues)), scope)
    const queue = yield* Effect.provide(Letters, context)
    const close = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => close)
    return { queue, close }
  })

const takeAll = (queue: PersistedQueue.PersistedQueue<string>, into: Array<string>) =>
  Effect.forkScoped(
    Effect.forever(queue.take((letter) => Effect.sync(() => void into.push(letter))))
  )

describe("a queue in SQLite", () => {
  it.scoped("gives each element to one, in its order, and adds no id twice", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const [one, other] = [yield* opened(filename), yield* opened(filename)]
      const got: Array<string> = []
      for (const letter of ["a", "b", "c", "b"]) yield* one.queue.offer(letter, { id: letter })
      yield* takeAll(one.queue, got)
      yield* untilTrue("all are taken", () => got.length === 3)
      yield* takeAll(other.queue, got)
      // what was processed is not added either
      yield* other.queue.offer("a", { id: "a" })
      yield* one.queue.offer("d", { id: "d" })
      // another process is heard of within a second
      yield* pass("1 second")
      yield* untilTrue("the last is taken", () => got.length === 4)
      yield* pass("1 minute")
      assert.deepStrictEqual(got, ["a", "b", "c", "d"])
    })
  )

  it.scoped(
    "puts back what is interrupted, tries again what fails, and gives it up in the end",
    () =>
      Effect.gen(function* () {
        const { queue } = yield* opened(yield* temporaryFile)
        const tried: Array<number> = []
        yield* queue.offer("a", { id: "a" })
        const begun: Array<string> = []
        const cut = yield* Effect.fork(
          queue.take((letter) =>
            Effect.zipRight(
              Effect.sync(() => begun.push(letter)),
              Effect.never
            )
          )
        )
        yield* untilTrue("it is taken", () => begun.length > 0)
        yield* Fiber.interrupt(cut)
        const failing = queue.take(
          (_, { attempts }) =>
            Effect.zipRight(
              Effect.sync(() => tried.push(attempts)),
              Effect.fail("no")
            ),
          { maxAttempts: 3 }
        )
        for (let n = 0; n < 3; n++) assert.strictEqual(yield* Effect.flip(failing), "no")
        assert.deepStrictEqual(tried, [0, 1, 2])
        const waiting = yield* Effect.fork(failing)
        yield* pass("1 minute")
        assert.isNull(waiting.unsafePoll())
        yield* Fiber.interrupt(waiting)
      })
  )

  it.scoped("keeps what is taken for as long as its taker lives, and no longer", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const [one, other] = [yield* opened(filename), yield* opened(filename)]
      yield* one.queue.offer("a", { id: "a" })
      const got: Array<string> = []
      const begun: Array<string> = []
      const held = yield* Effect.fork(
        one.queue.take((letter) =>
          Effect.zipRight(
            Effect.sync(() => begun.push(letter)),
            Effect.never
          )
        )
      )
      yield* untilTrue("it is taken", () => begun.length > 0)
      yield* takeAll(other.queue, got)
      yield* pass("10 minutes")
      assert.deepStrictEqual(got, [])
      // it renews nothing any more, and gives nothing back
      yield* one.close
      yield* pass("31 seconds")
      yield* untilTrue("another has taken it", () => got.length === 1)
      yield* Fiber.interruptFork(held)
    })
  )

  it.scoped("is given and settled once a file is free that somebody else had locked", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const { queue } = yield* opened(filename)
      const other = yield* opened(filename)
      yield* queue.offer("a", { id: "a" })
      const got: Array<string> = []
      const go = yield* Deferred.make<void>()
      const lock = new Sqlite(filename)
      yield* Effect.addFinalizer(() => Effect.sync(() => lock.close()))

      // neither what takes nor what settles can be interrupted
      lock.exec("BEGIN IMMEDIATE")
      const taking = yield* Effect.fork(
        queue.take((letter) =>
          Effect.zipRight(
            Effect.sync(() => got.push(letter)),
            Deferred.await(go)
          )
        )
      )
      yield* pass("1 second")
      assert.deepStrictEqual(got, [])
      lock.exec("ROLLBACK")
      yield* pass("1 second")
      yield* untilTrue("it is taken", () => got.length > 0)

      lock.exec("BEGIN IMMEDIATE")
      yield* Deferred.succeed(go, undefined)
      yield* pass("1 second")
      assert.strictEqual((yield* taking.poll)._tag, "None")
      lock.exec("ROLLBACK")
      yield* pass("1 second")
      yield* until(
        "it is settled",
        Effect.map(taking.poll, ({ _tag }) => _tag === "Some")
      )
      yield* takeAll(other.queue, got)
      yield* pass("2 minutes")
      assert.deepStrictEqual(got, ["a"])
      yield* Fiber.interruptFork(taking)
    })
  )
})

const Mails = DurableQueue.make({
  name: "mails",
  payload: { to: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ to }) => to
})

const Order = textWorkflow("Order")

const OrderLive = Order.toLayer(({ id }) => DurableQueue.process(Mails, { to: id }))

/** An executor over a file, with a worker whose mails pass where the test lets them. */
const executor = (filename: string, log: Array<string>, hold: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const worker = QueueWorker.layer(Mails, ({ to }) =>
      Effect.gen(function* () {
        log.push(`begins ${to}`)
        yield* Effect.onInterrupt(hold, () => Effect.sync(() => log.push(`cuts ${to}`)))
        log.push(`ends ${to}`)
        return `sent to ${to}`
      })
    )
    const context = yield* Layer.mergeAll(OrderLive, worker).pipe(
      Layer.provide(SqlitePersistedQueue.layerFile({ filename })),
      Layer.provideMerge(layerFile(filename, { stopTimeout: "30 seconds" })),
      Layer.fresh,
      Layer.build,
      Scope.extend(scope)
    )
    const close = yield* Effect.cached(Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => close)
    return {
      run: Effect.provide(context),
      drain: Context.get(context, Runner).drain,
      close
    }
  })

describe("a worker of a durable queue", () => {
  it.scoped("processes what runs ask for", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { run } = yield* executor(yield* temporaryFile, log, Effect.void)
      const runId = yield* run(Order.execute({ id: "1" }, { discard: true }))
      assert.deepStrictEqual(yield* run(exitOf(Order, runId)), Exit.succeed("sent to 1"))
      assert.deepStrictEqual(log, ["begins 1", "ends 1"])
    })
  )

  it.scoped("is waited for when it is released alone, and runs go on meanwhile", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const log: Array<string> = []
      const hold = yield* Effect.makeLatch(false)
      const queues = SqlitePersistedQueue.layerFile({ filename })
      const Other = textWorkflow()
      const context = yield* Layer.mergeAll(
        OrderLive,
        Other.toLayer(() => Effect.succeed("done"))
      ).pipe(
        Layer.provideMerge(queues),
        Layer.provideMerge(layerFile(filename, { stopTimeout: "30 seconds" })),
        Layer.build
      )
      const worker = yield* Scope.make()
      yield* QueueWorker.layer(Mails, () =>
        Effect.as(
          Effect.zipRight(
            Effect.sync(() => log.push("begins")),
            hold.await
          ),
          "sent"
        )
      ).pipe(Layer.provide(Layer.succeedContext(context)), Layer.buildWithScope(worker))
      yield* Effect.gen(function* () {
        const runId = yield* Order.execute({ id: "1" }, { discard: true })
        yield* untilTrue("it is begun", () => log.length === 1)
        const releasing = yield* Effect.fork(Scope.close(worker, Exit.void))
        yield* turns()
        const other = yield* Other.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(Other, other), Exit.succeed("done"))
        assert.isNull(releasing.unsafePoll())
        yield* hold.open
        yield* Fiber.join(releasing)
        assert.deepStrictEqual(yield* exitOf(Order, runId), Exit.succeed("sent"))
        yield* Order.execute({ id: "2" }, { discard: true })
        yield* pass("1 minute")
        assert.lengthOf(log, 1)
      }).pipe(Effect.provide(context))
    })
  )

  for (const [how, stop] of [
    ["a drain", "drain"],
    ["the close of the executor", "close"]
  ] as const) {
    it.scoped(`ends what it is at, and begins nothing more: ${how}`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const log: Array<string> = []
        const hold = yield* Effect.makeLatch(false)
        const first = yield* executor(filename, log, hold.await)
        const [one, two] = yield* first.run(
          Effect.forEach(["1", "2"], (id) => Order.execute({ id }, { discard: true }))
        )
        yield* untilTrue("the first is begun", () => log.length === 1)
        const stopping = yield* Effect.fork<unknown, unknown, never>(first[stop])
        yield* turns()
        assert.isNull(stopping.unsafePoll())
        yield* hold.open
        yield* Fiber.join(stopping)
        const [begins, ends] = [log[0], log[1]]
        assert.strictEqual(ends, begins?.replace("begins", "ends"))
        assert.lengthOf(log, 2)
        yield* first.close

        // it is processed once, and its run has been told
        const next = yield* executor(filename, log, Effect.void)
        for (const [id, runId] of [
          ["1", one],
          ["2", two]
        ] as const) {
          const exit = yield* next.run(exitOf(Order, runId ?? ""))
          assert.deepStrictEqual(exit, Exit.succeed(`sent to ${id}`))
        }
        assert.lengthOf(log, 4)
      })
    )

    it.scoped(`is cut at the stop timeout, and what it was at is processed again: ${how}`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const log: Array<string> = []
        const first = yield* executor(filename, log, Effect.never)
        const runId = yield* first.run(Order.execute({ id: "1" }, { discard: true }))
        yield* untilTrue("it is begun", () => log.length === 1)
        const stopping = yield* Effect.fork<unknown, unknown, never>(first[stop])
        yield* pass("29 seconds")
        assert.deepStrictEqual(log, ["begins 1"])
        yield* pass("1 second")
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(log, ["begins 1", "cuts 1"])
        yield* first.close
        const next = yield* executor(filename, log, Effect.void)
        const exit = yield* next.run(exitOf(Order, runId))
        assert.deepStrictEqual(exit, Exit.succeed("sent to 1"))
        assert.deepStrictEqual(log.slice(2), ["begins 1", "ends 1"])
      })
    )
  }
})
