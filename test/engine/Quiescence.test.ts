/** What is known of a program from outside: whether anything in it goes on by itself. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as RuntimeFlagsPatch from "effect/RuntimeFlagsPatch"
import { type Level, Quiescence } from "../../src/engine/pass/Quiescence.js"
import { turns, untilTrue } from "./support.js"

/** A program that is looked at, with calls of an engine that answers when it is told to. */
class Looked {
  readonly levels: Array<Level> = []
  readonly quiescence = new Quiescence({ onLevel: (level) => void this.levels.push(level) })
  private readonly waiting: Array<() => void> = []

  /** What waits for the engine. */
  readonly call = Effect.withFiberRuntime<string>((fiber) => {
    this.quiescence.enter(fiber)
    this.quiescence.rest(fiber)
    return Effect.async<string>((resume) => {
      this.waiting.push(() => {
        this.quiescence.goOn()
        this.quiescence.leave(fiber)
        resume(Effect.succeed("told"))
      })
    })
  })

  tell() {
    for (const tell of this.waiting.splice(0)) tell()
  }

  readonly run = <A, E>(program: Effect.Effect<A, E>) =>
    Effect.forkDaemon(program).pipe(
      Effect.supervised(this.quiescence),
      Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.enable(RuntimeFlags.OpSupervision))
    )
}

type Program = (call: Effect.Effect<string>) => Effect.Effect<unknown, unknown>

const unbounded = { concurrency: "unbounded" } as const

/** What the engine alone can move. */
const resting: Readonly<Record<string, Program>> = {
  "a call of the engine": (call) => call,
  "Effect.never": () => Effect.never,
  "a fiber that is joined": (call) => Effect.flatMap(Effect.fork(call), Fiber.join),
  "a fiber that is awaited": (call) => Effect.flatMap(Effect.fork(call), Fiber.await),
  "a fiber of a fiber": (call) =>
    Effect.flatMap(Effect.fork(Effect.flatMap(Effect.fork(call), Fiber.join)), Fiber.join),
  "a fiber in the background, and never": (call) =>
    Effect.zipRight(Effect.fork(call), Effect.never),
  "all, unbounded": (call) => Effect.all([call, call, call], unbounded),
  "all, where one is over": (call) => Effect.all([call, Effect.void, call], unbounded),
  "forEach, two at a time": (call) => Effect.forEach([1, 2, 3, 4], () => call, { concurrency: 2 }),
  "all in all": (call) => Effect.all([Effect.all([call, call], unbounded), call], unbounded),
  race: (call) => Effect.race(call, call),
  "race with never": (call) => Effect.race(call, Effect.never),
  raceFirst: (call) => Effect.raceFirst(call, call),
  raceAll: (call) => Effect.raceAll([call, call, Effect.never]),
  "zip, concurrent": (call) => Effect.zip(call, call, { concurrent: true }),
  validateAll: (call) => Effect.validateAll([1, 2], () => call, unbounded),
  "a handler": (call) => Effect.catchAllCause(call, () => Effect.void),
  "an uninterruptible region": (call) => Effect.uninterruptible(call),
  "a scope": (call) =>
    Effect.scoped(
      Effect.zipRight(
        Effect.addFinalizer(() => Effect.void),
        call
      )
    ),
  "after a promise": (call) =>
    Effect.zipRight(
      Effect.promise(async () => {}),
      call
    ),
  "after a plain sleep": (call) => Effect.zipRight(Effect.sleep(1), call),
  "after yields": (call) => Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 5), call)
}

/** What may go on by itself. */
const idle: Readonly<Record<string, Program>> = {
  "a plain sleep": () => Effect.sleep("1 day"),
  "a promise": () => Effect.promise(() => new Promise(() => {})),
  "a callback": () => Effect.async(() => {}),
  "a deferred of its own": () => Effect.flatMap(Deferred.make(), Deferred.await),
  "a semaphore": () =>
    Effect.flatMap(Effect.makeSemaphore(0), (semaphore) => semaphore.withPermits(1)(Effect.void)),
  "a call beside a plain sleep": (call) => Effect.all([call, Effect.sleep("1 day")], unbounded),
  "a call with a timeout": (call) => Effect.timeout(call, "1 day"),
  "a call that races a sleep": (call) => Effect.race(call, Effect.sleep("1 day")),
  "a fiber that sleeps, and never": () =>
    Effect.zipRight(Effect.fork(Effect.sleep("1 day")), Effect.never),
  "a joined fiber that sleeps": () =>
    Effect.flatMap(Effect.fork(Effect.sleep("1 day")), Fiber.join),
  "a sleep in all in all": (call) =>
    Effect.all([Effect.all([call, Effect.sleep("1 day")], unbounded), call], unbounded)
}

describe("a program waits", () => {
  for (const [level, programs] of Object.entries({ rest: resting, idle })) {
    for (const [what, program] of Object.entries(programs)) {
      it.scopedLive(`${level}: ${what}`, () =>
        Effect.gen(function* () {
          const looked = new Looked()
          const fiber = yield* looked.run(program(looked.call))
          yield* untilTrue(level, () => looked.levels.at(-1) === level)
          yield* turns()
          assert.strictEqual(looked.levels.at(-1), level)
          assert.strictEqual(looked.quiescence.level, level)
          // one of them cannot be interrupted before
          looked.tell()
          yield* Fiber.interrupt(fiber)
        })
      )
    }
  }

  for (const [what, program] of Object.entries(resting)) {
    if (!program.toString().includes("call")) continue
    it.scopedLive(`and is moving from when the engine answers: ${what}`, () =>
      Effect.gen(function* () {
        const looked = new Looked()
        const fiber = yield* looked.run(program(looked.call))
        for (let i = 0; i < 10 && fiber.unsafePoll() === null; i++) {
          yield* untilTrue("rest", () => looked.levels.at(-1) === "rest")
          if (what === "a fiber in the background, and never") break
          looked.tell()
          assert.strictEqual(looked.levels.at(-1), "moving")
          yield* turns()
        }
        const exit = fiber.unsafePoll()
        if (exit === null) yield* Fiber.interrupt(fiber)
        else assert.isTrue(Exit.isSuccess(exit))
      })
    )
  }
})
