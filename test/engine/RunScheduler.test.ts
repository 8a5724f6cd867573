import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Runtime from "effect/Runtime"
import * as Scheduler from "effect/Scheduler"
import { RunScheduler, scheduled } from "../../src/engine/pass/RunScheduler.js"

/** The scheduler of the fiber that asks. */
const current = FiberRef.get(FiberRef.currentScheduler)

/** Keeps the thread for so long. */
const busy = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until);
}

const turnOfTheLoop = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("RunScheduler", () => {
  it("gives the event loop a turn before all that is ready has run", async () => {
    const scheduler = new RunScheduler()
    const order: Array<string> = []
    for (let n = 0; n < 100; n++) {
      scheduler.scheduleTask(() => {
        busy(1)
        order.push("task")
      }, 0)
    }
    while (order.filter((said) => said === "task").length < 100) {
      await turnOfTheLoop()
      order.push("turn")
    }
    // in each turn no more than what its time allows, one task at least
    const longest = Math.max(
      ...order
        .join(" ")
        .split(" turn")
        .map((tasks) => tasks.split("task").length - 1)
    )
    expect(longest).toBeLessThanOrEqual(11)
    expect(order.filter((said) => said === "turn").length).toBeGreaterThanOrEqual(9)
  })

  it("goes on with what a task makes ready without a turn of the event loop", async () => {
    const scheduler = new RunScheduler()
    const order: Array<string> = []
    setImmediate(() => order.push("turn"))
    const again = (n: number) => () => {
      order.push(`${n}`)
      if (n < 3) scheduler.scheduleTask(again(n + 1), 0)
    }
    scheduler.scheduleTask(again(1), 0)
    await turnOfTheLoop()
    expect(order).toEqual(["1", "2", "3", "turn"])
  })

  it("executes by priority, then in order, also what it had to leave for the next turn", async () => {
    const scheduler = new RunScheduler()
    const order: Array<string> = []
    const say =
      (said: string, millis = 0) =>
      () => {
        busy(millis)
        order.push(said)
      }
    scheduler.scheduleTask(say("late"), 1)
    scheduler.scheduleTask(say("first", 20), 0)
    scheduler.scheduleTask(say("second", 20), 0)
    scheduler.scheduleTask(() => scheduler.scheduleTask(say("new", 20), 0), 0)
    while (order.length < 4) await turnOfTheLoop()
    expect(order).toEqual(["first", "second", "late", "new"])
  })

  it("goes on when a task throws, which the process is told", async () => {
    const scheduler = new RunScheduler()
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    const told = new Promise<Error>((resolve) => process.once("uncaughtException", resolve))
    const next = new Promise<string>((resolve) => {
      scheduler.scheduleTask(() => {
        throw new Error("of a task")
      }, 0)
      scheduler.scheduleTask(() => resolve("the next"), 0)
    })
    try {
      expect((await told).message).toBe("of a task")
      expect(await next).toBe("the next")
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener)
    }
  })

  it.effect("has a fiber yield once it has executed as much as it may", () =>
    Effect.gen(function* () {
      const runtime = scheduled(yield* Effect.runtime())
      const order: Array<string> = []
      const counting = (name: string) =>
        Effect.forEach([1, 2, 3], () =>
          Effect.zipRight(
            Effect.repeatN(Effect.void, 40),
            Effect.sync(() => order.push(name))
          )
        ).pipe(Effect.withMaxOpsBeforeYield(32))
      yield* Effect.promise(() =>
        Runtime.runPromise(runtime)(
          Effect.all([counting("a"), counting("b")], { concurrency: 2, discard: true })
        )
      )
      // neither was done with all before the other began
      expect(order.indexOf("b")).toBeLessThan(order.lastIndexOf("a"))
      expect(order).toHaveLength(6)
    })
  )

  it.effect("is that of whoever has not chosen another", () =>
    Effect.gen(function* () {
      const schedulerOf = (runtime: Runtime.Runtime<never>) =>
        Effect.promise(() => Runtime.runPromise(scheduled(runtime))(current))
      const plain = yield* Effect.runtime().pipe(
        Effect.withScheduler(Scheduler.defaultScheduler),
        Effect.flatMap(schedulerOf)
      )
      expect(plain).toBeInstanceOf(RunScheduler)
      const chosen = new Scheduler.MixedScheduler(16)
      const kept = yield* Effect.runtime().pipe(
        Effect.withScheduler(chosen),
        Effect.flatMap(schedulerOf)
      )
      expect(kept).toBe(chosen)
    })
  )

  it("is that of an app in a ManagedRuntime, which builds its layer with a scheduler of Effect's own", async () => {
    class Origin extends Context.Tag("Origin")<Origin, Runtime.Runtime<never>>() {}
    const seen: Array<Scheduler.Scheduler> = []
    const built = Effect.tap(Effect.runtime(), () =>
      Effect.map(current, (scheduler) => seen.push(scheduler))
    )
    const app = ManagedRuntime.make(Layer.effect(Origin, built))
    try {
      const origin = await app.runPromise(Origin)
      expect(seen[0]).not.toBe(Scheduler.defaultScheduler)
      expect(await Runtime.runPromise(scheduled(origin))(current)).toBeInstanceOf(RunScheduler)
    } finally {
      await app.dispose()
    }
  })
})
