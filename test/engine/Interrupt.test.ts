/** What an interrupt that is asked for does, wherever the run is, and what it undoes. */
import { assert, describe, it } from "@effect/vitest"
import { DurableClock, DurableDeferred, Workflow, type WorkflowEngine } from "@effect/workflow"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Executor from "../../src/Executor.js"
import { Dispatcher } from "../../src/engine/held/Dispatcher.js"
import { type Held, RunStore } from "../../src/store/RunStore.js"
import * as SqliteRunStore from "../../src/store/sqlite/SqliteRunStore.js"
import {
  copyOfFile,
  type Env,
  everywhere,
  exitOf,
  inProcess,
  longSleep,
  memoryTest,
  noted,
  pass,
  register,
  step,
  temporaryFile,
  textWorkflow,
  turns,
  undone,
  untilSuspended,
  untilTrue
} from "./support.js"

const Gate = DurableDeferred.make("Gate")

const open = (workflow: Workflow.Any, runId: string) =>
  DurableDeferred.succeed(Gate, {
    token: DurableDeferred.tokenFromExecutionId(Gate, { workflow, executionId: runId }),
    value: undefined
  })

const assertInterrupted = (exit: Exit.Exit<unknown, unknown>) =>
  assert.isTrue(Exit.isInterrupted(exit), `expected an interrupt, got ${exit}`)

describe("an interrupt", () => {
  memoryTest("cuts the step in flight, and undoes the steps before it once, last first", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* undone(log, "a")
            yield* undone(log, "b")
            return yield* step(
              "c",
              Effect.sync(() => log.push("c")).pipe(
                Effect.zipRight(Effect.never),
                Effect.onInterrupt(() => Effect.sync(() => log.push("cut c")))
              )
            ).pipe(Workflow.withCompensation(() => Effect.sync(() => log.push("undo c"))))
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("c", () => log.includes("c"))
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, ["a", "b", "c", "cut c", "undo b", "undo a"])
      const store = yield* RunStore
      const found = yield* store.findWithSteps(runId)
      const steps = found._tag === "Some" ? found.value.steps : []
      assert.deepStrictEqual(
        steps.map(({ name, status }) => [name, status]),
        [
          ["a", "completed"],
          ["b", "completed"],
          ["c", "interrupted"]
        ]
      )
    })
  )

  memoryTest(
    "undoes a step that finished all the same, because the workflow let nothing cut it",
    () =>
      Effect.gen(function* () {
        const W = textWorkflow()
        const log: Array<string> = []
        const latch = yield* Deferred.make<void>()
        yield* register(
          W.toLayer(() =>
            Effect.gen(function* () {
              yield* step(
                "a",
                Effect.sync(() => log.push("a")).pipe(
                  Effect.zipRight(Deferred.await(latch)),
                  Effect.as("a")
                )
              ).pipe(
                Effect.uninterruptible,
                Workflow.withCompensation(() => Effect.sync(() => log.push("undo a")))
              )
              return yield* noted(log, "b")
            })
          )
        )
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilTrue("a", () => log.includes("a"))
        yield* W.interrupt(runId)
        yield* turns()
        yield* Deferred.succeed(latch, undefined)
        assertInterrupted(yield* exitOf(W, runId))
        assert.deepStrictEqual(log, ["a", "undo a"])
      })
  )

  memoryTest("reaches a run that sleeps", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* undone(log, "a")
            yield* DurableClock.sleep({ name: "short", duration: "10 seconds" })
            return yield* noted(log, "b")
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      yield* pass("1 minute")
      assert.deepStrictEqual(log, ["a", "undo a"])
    })
  )

  memoryTest("reaches a run that nobody has begun, and executes nothing of it", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* W.interrupt(runId)
      yield* register(W.toLayer(() => undone(log, "a")))
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, [])
    })
  )

  memoryTest("reaches a run in code between its steps", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* undone(log, "a")
            yield* Effect.never
            return yield* noted(log, "b")
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a", () => log.includes("a"))
      yield* turns()
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, ["a", "undo a"])
    })
  )

  memoryTest("waits for code between recorded steps, and undoes those after it too", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* undone(log, "a")
            yield* Effect.sleep("5 seconds")
            yield* undone(log, "b")
            yield* DurableDeferred.await(Gate)
            return "done"
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a", () => log.includes("a"))
      yield* turns()
      yield* pass("5 seconds")
      yield* untilSuspended(W, runId)
      yield* W.interrupt(runId)
      yield* turns()
      yield* pass("5 seconds")
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, ["a", "b", "undo b", "undo a"])
    })
  )

  memoryTest("undoes what every branch has done, however their waits interleave", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const turned = Effect.forEach([1, 2, 3], () => turns(2))
      yield* register(
        W.toLayer(() =>
          Effect.as(
            Effect.all(
              [
                Effect.zipRight(undone(log, "a"), DurableDeferred.await(Gate)),
                Effect.gen(function* () {
                  yield* undone(log, "b")
                  yield* turned
                  yield* undone(log, "c")
                  yield* DurableDeferred.await(Gate)
                }),
                step("slow", Effect.never)
              ],
              { concurrency: "unbounded" }
            ),
            "done"
          )
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("c", () => log.includes("c"))
      yield* turns()
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual([...log].sort(), ["a", "b", "c", "undo a", "undo b", "undo c"])
    })
  )

  memoryTest("is not held up by steps that a lost race has recorded", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* DurableDeferred.raceAll({
              name: "race",
              success: Schema.String,
              error: Schema.String,
              effects: [
                Effect.zipRight(noted(log, "x"), Effect.never),
                Effect.zipRight(noted(log, "y"), noted(log, "z"))
              ]
            })
            yield* undone(log, "a")
            yield* Effect.never
            return "done"
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a", () => log.includes("a"))
      yield* turns()
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      assert.strictEqual(log.filter((entry) => entry === "undo a").length, 1)
    })
  )

  memoryTest("ends a run that is suspended on a failure", () =>
    Effect.gen(function* () {
      const W = textWorkflow().annotate(Workflow.SuspendOnFailure, true)
      const log: Array<string> = []
      yield* register(
        W.toLayer(() => Effect.zipRight(undone(log, "a"), step("b", Effect.fail("boom"))))
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* W.interrupt(runId)
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, ["a", "undo a"])
    })
  )

  memoryTest("asked for many times is one", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() => Effect.zipRight(undone(log, "a"), step("never", Effect.never)))
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilTrue("a", () => log.includes("a"))
      yield* Effect.forEach(Array.from({ length: 5 }), () => W.interrupt(runId), {
        concurrency: "unbounded"
      })
      assertInterrupted(yield* exitOf(W, runId))
      yield* W.interrupt(runId)
      yield* turns()
      assert.deepStrictEqual(log, ["a", "undo a"])
    })
  )

  memoryTest("reaches a child that is awaited inside a step", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      const log: Array<string> = []
      yield* register(
        Child.toLayer(() =>
          Effect.zipRight(undone(log, "child"), Effect.as(DurableDeferred.await(Gate), "done"))
        ),
        Parent.toLayer(({ id }) => step("over", Effect.orDie(Child.execute({ id }))))
      )
      const parent = yield* Parent.execute({ id: "1" }, { discard: true })
      const child = yield* Child.executionId({ id: "1" })
      yield* untilSuspended(Child, child)
      yield* untilSuspended(Parent, parent)
      yield* Parent.interrupt(parent)
      assertInterrupted(yield* exitOf(Parent, parent))
      assertInterrupted(yield* exitOf(Child, child))
      assert.deepStrictEqual(log, ["child", "undo child"])
    })
  )

  everywhere("leaves a child alone for which another run waits, and ends it with the last", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      yield* register(
        Child.toLayer(() => Effect.as(DurableDeferred.await(Gate), "done")),
        Parent.toLayer(({ id }) => Child.execute({ id: id.slice(0, 1) }))
      )
      const start = (id: string) =>
        Effect.tap(Parent.execute({ id }, { discard: true }), (runId) =>
          untilSuspended(Parent, runId)
        )
      // the one that stays has the child's result
      const [cut, stays] = [yield* start("1a"), yield* start("1b")]
      yield* Parent.interrupt(cut)
      assertInterrupted(yield* exitOf(Parent, cut))
      yield* turns()
      yield* open(Child, yield* Child.executionId({ id: "1" }))
      assert.deepStrictEqual(yield* exitOf(Parent, stays), Exit.succeed("done"))

      // of two that are interrupted at once, none keeps it
      const both = [yield* start("2a"), yield* start("2b")]
      yield* Effect.forEach(both, (runId) => Parent.interrupt(runId), { concurrency: 2 })
      for (const runId of both) assertInterrupted(yield* exitOf(Parent, runId))
      assertInterrupted(yield* exitOf(Child, yield* Child.executionId({ id: "2" })))
    })
  )

  memoryTest("undoes a finished child as its parent says", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      const log: Array<string> = []
      yield* register(
        Child.toLayer(() => noted(log, "child")),
        Parent.toLayer(({ id }) =>
          Effect.gen(function* () {
            yield* Child.execute({ id }).pipe(
              Workflow.withCompensation((text) => Effect.sync(() => log.push(`undo ${text}`)))
            )
            yield* DurableDeferred.await(Gate)
            return "done"
          })
        )
      )
      const parent = yield* Parent.execute({ id: "1" }, { discard: true })
      yield* untilTrue("the child", () => log.includes("child"))
      yield* exitOf(Child, yield* Child.executionId({ id: "1" }))
      yield* turns()
      yield* untilSuspended(Parent, parent)
      yield* Parent.interrupt(parent)
      assertInterrupted(yield* exitOf(Parent, parent))
      assert.deepStrictEqual(log, ["child", "undo child"])
    })
  )

  memoryTest("leaves a caller's own interrupt alone: the run goes on without it", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      yield* register(W.toLayer(() => Effect.as(DurableDeferred.await(Gate), "done")))
      const fiber = yield* Effect.fork(W.execute({ id: "1" }))
      const runId = yield* W.executionId({ id: "1" })
      yield* untilSuspended(W, runId)
      yield* Fiber.interrupt(fiber)
      yield* turns()
      yield* open(W, runId)
      assert.deepStrictEqual(yield* exitOf(W, runId), Exit.succeed("done"))
    })
  )
})

describe("compensations", () => {
  const waits: ReadonlyArray<
    readonly [
      string,
      Effect.Effect<void, never, Env>,
      (W: Workflow.Any, runId: string) => Effect.Effect<void, never, WorkflowEngine.WorkflowEngine>
    ]
  > = [
    ["sleep", longSleep("undoing", "1 hour"), () => pass("1 hour")],
    ["wait for a signal", DurableDeferred.await(Gate), open]
  ]
  for (const [what, waiting, goOn] of waits) {
    for (const why of ["failure", "interrupt"] as const) {
      memoryTest(`that ${what} park the run, and go on in reverse order (${why})`, () =>
        Effect.gen(function* () {
          const W = textWorkflow()
          const log: Array<string> = []
          yield* register(
            W.toLayer(() =>
              Effect.gen(function* () {
                yield* noted(log, "a").pipe(
                  Workflow.withCompensation(() => Effect.ignore(noted(log, "undo a")))
                )
                yield* noted(log, "b").pipe(
                  Workflow.withCompensation(() =>
                    Effect.ignore(
                      Effect.gen(function* () {
                        yield* noted(log, "undo b, first")
                        yield* waiting
                        yield* noted(log, "undo b, last")
                      })
                    )
                  )
                )
                yield* noted(log, "c").pipe(
                  Workflow.withCompensation(() => Effect.ignore(noted(log, "undo c")))
                )
                if (why === "failure") return yield* Effect.fail("no")
                yield* longSleep("forward", "1 minute")
                return yield* noted(log, "too far")
              })
            )
          )
          const runId = yield* W.execute({ id: "1" }, { discard: true })
          const store = yield* RunStore
          if (why === "interrupt") {
            yield* untilSuspended(W, runId)
            yield* W.interrupt(runId)
          }
          yield* untilTrue("the first half", () => log.includes("undo b, first"))
          yield* untilSuspended(W, runId)
          assert.deepStrictEqual(log, ["a", "b", "c", "undo c", "undo b, first"])
          // the forward part's timer comes due meanwhile: it must not go on
          yield* pass("2 minutes")
          yield* W.resume(runId)
          yield* turns()
          yield* untilSuspended(W, runId)
          yield* goOn(W, runId)
          const exit = yield* exitOf(W, runId)
          if (why === "failure") assert.deepStrictEqual(exit, Exit.fail("no"))
          else assertInterrupted(exit)
          assert.deepStrictEqual(log, [
            "a",
            "b",
            "c",
            "undo c",
            "undo b, first",
            "undo b, last",
            "undo a"
          ])
          const run = yield* store.find(runId)
          assert.strictEqual(
            run._tag === "Some" ? run.value.status : "",
            why === "failure" ? "failed" : "interrupted"
          )
        })
      )
    }
  }

  memoryTest("of an interrupted run end it as interrupted, whatever signals come meanwhile", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "a").pipe(
              Workflow.withCompensation(() =>
                Effect.ignore(
                  Effect.gen(function* () {
                    yield* noted(log, "undo a, first")
                    yield* longSleep("undoing", "1 hour")
                    yield* noted(log, "undo a, last")
                  })
                )
              )
            )
            yield* DurableDeferred.await(Gate)
            return "done"
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* W.interrupt(runId)
      yield* untilTrue("the first half", () => log.includes("undo a, first"))
      yield* untilSuspended(W, runId)
      yield* open(W, runId)
      yield* turns()
      yield* untilSuspended(W, runId)
      yield* pass("1 hour")
      assertInterrupted(yield* exitOf(W, runId))
      assert.deepStrictEqual(log, ["a", "undo a, first", "undo a, last"])
    })
  )

  memoryTest("with CaptureDefects off wait durably too", () =>
    Effect.gen(function* () {
      const W = textWorkflow().annotate(Workflow.CaptureDefects, false)
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* noted(log, "a").pipe(
              Workflow.withCompensation(() =>
                Effect.ignore(Effect.zipRight(longSleep("undoing", "1 hour"), noted(log, "undo a")))
              )
            )
            return yield* Effect.die("boom")
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      yield* untilSuspended(W, runId)
      yield* pass("1 hour")
      const exit = yield* exitOf(W, runId)
      assert.isTrue(Exit.isFailure(exit) && !Exit.isInterrupted(exit))
      assert.deepStrictEqual(log, ["a", "undo a"])
    })
  )

  memoryTest("that die do not keep those before them from running", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(() =>
          Effect.gen(function* () {
            yield* undone(log, "a")
            yield* noted(log, "b").pipe(Workflow.withCompensation(() => Effect.die("undo b broke")))
            return yield* Effect.fail("no")
          })
        )
      )
      const runId = yield* W.execute({ id: "1" }, { discard: true })
      const exit = yield* exitOf(W, runId)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(log, ["a", "b", "undo a"])
    })
  )

  memoryTest("go on in the next process, with what they have recorded", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const Live = W.toLayer(() =>
        Effect.gen(function* () {
          yield* noted(log, "a").pipe(
            Workflow.withCompensation(() =>
              Effect.ignore(
                Effect.gen(function* () {
                  yield* noted(log, "undo a, first")
                  yield* longSleep("undoing", "1 hour")
                  yield* noted(log, "undo a, last")
                })
              )
            )
          )
          yield* longSleep("forward", "1 minute")
          return yield* noted(log, "too far")
        })
      )
      const filename = yield* temporaryFile
      const runId = yield* Effect.gen(function* () {
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* W.interrupt(runId)
        yield* untilTrue("the first half", () => log.includes("undo a, first"))
        yield* untilSuspended(W, runId)
        return runId
      }).pipe(inProcess(filename, Live))
      yield* pass("2 hours")
      yield* Effect.gen(function* () {
        assertInterrupted(yield* exitOf(W, runId))
      }).pipe(inProcess(filename, Live))
      assert.deepStrictEqual(log, ["a", "undo a, first", "undo a, last"])
    })
  )

  memoryTest("that a crash cut begin again, and the run does not go forward instead", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      const latch = yield* Deferred.make<void>()
      const Live = W.toLayer(() =>
        Effect.gen(function* () {
          yield* noted(log, "a").pipe(
            Workflow.withCompensation(() =>
              Effect.ignore(
                step(
                  "undo",
                  Effect.sync(() => log.push("undo")).pipe(
                    Effect.zipRight(Deferred.await(latch)),
                    Effect.as("undo")
                  )
                )
              )
            )
          )
          yield* longSleep("forward", "1 minute")
          return yield* noted(log, "too far")
        })
      )
      const filename = yield* temporaryFile
      const options = { leaseDuration: "1 hour" } as const
      yield* Effect.gen(function* () {
        const runId = yield* W.execute({ id: "1" }, { discard: true })
        yield* untilSuspended(W, runId)
        yield* W.interrupt(runId)
        yield* untilTrue("the compensation", () => log.includes("undo"))
        const copy = yield* copyOfFile(filename)
        yield* Effect.gen(function* () {
          yield* pass("2 hours")
          yield* untilTrue("the compensation again", () => log.length === 3)
          yield* Deferred.succeed(latch, undefined)
          assertInterrupted(yield* exitOf(W, runId))
        }).pipe(inProcess(copy, Live, options))
      }).pipe(inProcess(filename, Live, options))
      assert.deepStrictEqual(log, ["a", "undo", "undo"])
    })
  )
})

describe("a process", () => {
  memoryTest("keeps nothing of runs that are over", () =>
    Effect.gen(function* () {
      const W = textWorkflow()
      const log: Array<string> = []
      yield* register(
        W.toLayer(({ id }) =>
          Effect.zipRight(noted(log, "a"), id === "1" ? Effect.fail("no") : Effect.succeed("yes"))
        )
      )
      const dispatcher = yield* Dispatcher
      for (const id of ["1", "2", "3"]) {
        yield* exitOf(W, yield* W.execute({ id }, { discard: true }))
      }
      yield* turns()
      assert.strictEqual(dispatcher.runs.size(), 0)
      assert.deepStrictEqual(yield* dispatcher.inFlight, [])
      assert.deepStrictEqual(dispatcher.runs.childrenAwaited(), [])
    })
  )

  it.scoped("keeps no child of a run that is over, whose start it has not heard of", () =>
    Effect.gen(function* () {
      const Parent = textWorkflow()
      const Child = textWorkflow()
      let asked = false
      // its children's starts are never answered
      const store = Layer.effect(
        RunStore,
        Effect.map(RunStore, (store) => ({
          ...store,
          by: (held: Held) => ({
            ...store.by(held),
            create: () =>
              Effect.suspend(() => {
                asked = true
                return Effect.never
              })
          })
        }))
      ).pipe(Layer.provide(SqliteRunStore.layerMemory))
      yield* Effect.gen(function* () {
        yield* register(
          Parent.toLayer(() =>
            Effect.raceFirst(
              Child.execute({ id: "1" }),
              step(
                "asked",
                Effect.as(
                  untilTrue("the child is asked for", () => asked),
                  "first"
                )
              )
            )
          )
        )
        const runId = yield* Parent.execute({ id: "1" }, { discard: true })
        assert.deepStrictEqual(yield* exitOf(Parent, runId), Exit.succeed("first"))
        yield* turns()
        const dispatcher = yield* Dispatcher
        assert.deepStrictEqual(dispatcher.runs.childrenAwaited(), [])
      }).pipe(Effect.provide(Executor.layerTestCore().pipe(Layer.provideMerge(store))))
    })
  )
})
