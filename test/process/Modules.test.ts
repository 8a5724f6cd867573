import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ExampleFile from "../../src/cli/ExampleFile.js"
import * as Process from "../support/Executor.js"
import * as Fixture from "./Fixture.js"

describe("the module of workflows", () => {
  it.scopedLive("shares the command's instances of effect, @effect/workflow and this package", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({
        ...fixture.options(),
        module: Process.fixture("instances.ts")
      })
      const { annotations } = yield* executor.log("instances")
      expect(annotations).toMatchObject({
        helper: "helper",
        effect: true,
        workflow: true,
        executor: true
      })
    })
  )

  it.scopedLive("may be JavaScript, at a path relative to the working directory", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({
        ...fixture.options(),
        cwd: Process.fixture("."),
        module: "plain.js"
      })
      const runId = yield* executor.run("Plain", {})
      expect((yield* executor.completed(runId)).steps.map(({ name }) => name)).toEqual(["only"])
    })
  )

  it.scopedLive("is the bundled example where none is given", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.startReady({ ...fixture.options(), module: undefined })
      const said = yield* executor.log("no module was given: this is the bundled example")
      expect(said.annotations.module).toMatch(/order\.ts$/)
      const { annotations } = yield* executor.ready
      expect(annotations.workflows).toEqual(ExampleFile.workflows)
      expect((yield* executor.stop()).code).toBe(0)
    })
  )

  it.scopedLive(
    "is needed on a file that was made for others: the example does not take it",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const others = yield* fixture.start()
        yield* others.run("Held", { id: "a" })
        yield* others.stop("SIGKILL")
        const refused = yield* Process.start({ ...fixture.options(), module: undefined })
        expect((yield* refused.exited).code).toBe(1)
        const [error] = refused.logs
        expect(error?.logLevel).toBe("FATAL")
        expect(error?.message).toContain(
          `${fixture.env.DATABASE_FILE} has runs of the workflow "Held", and no module was given`
        )
        const app = join(fixture.folder, "app.db")
        yield* Fixture.statement(app, "CREATE TABLE users (id INTEGER)")
        const refusedToo = yield* Process.start({
          ...fixture.options({ DATABASE_FILE: app }),
          module: undefined
        })
        expect((yield* refusedToo.exited).code).toBe(1)
        expect(refusedToo.logs[0]?.message).toContain('the table "users" of an app')
        // its own file it takes again
        const own = fixture.options({ DATABASE_FILE: join(fixture.folder, "own.db") })
        for (const _ of [1, 2]) {
          const example = yield* Process.startReady({ ...own, module: undefined })
          yield* example.run("Order", { orderId: "1" })
          expect((yield* example.stop()).code).toBe(0)
        }
      }),
    120_000
  )

  it.scopedLive("whose layer lacks a service does not start, and names it", () =>
    Effect.gen(function* () {
      const fixture = yield* Fixture.make
      const executor = yield* Process.start({
        ...fixture.options(),
        module: Process.fixture("lacking.js")
      })
      expect((yield* executor.exited).code).toBe(1)
      const fatal = executor.logs.filter(({ logLevel }) => logLevel === "FATAL")
      expect(fatal.map(({ message }) => message).join()).toContain("Service not found: Mailer")
    })
  )

  it.scopedLive(
    "that cannot be used is named, with what is wrong, before anything is opened",
    () =>
      Effect.gen(function* () {
        const fixture = yield* Fixture.make
        const modules: ReadonlyArray<readonly [string, string | undefined, RegExp]> = [
          ["missing.ts", undefined, /there is no such file/],
          ["missing-package", undefined, /no package "missing-package" can be imported/],
          ["syntax.ts", "export default : 1", /it cannot be loaded: .*syntax\.ts:1:/],
          ["syntax.mjs", "export default : 1", /it cannot be loaded: .*syntax\.mjs:1:/],
          ["import.mjs", 'import "./nowhere.mjs"\nexport default 1', /nowhere\.mjs/],
          ["import.ts", 'import "./nowhere.mjs"\nexport default 1', /nowhere\.mjs/],
          ["throws.mjs", 'throw new Error("boom")', /it cannot be loaded: Error: boom/],
          ["throws.ts", 'throw new Error("boom")', /it cannot be loaded: Error: boom/],
          ["none.mjs", "export const a = 1", /it has no default export/],
          ["none.ts", "export const a = 1", /it has no default export/],
          ["number.mjs", "export default 5", /its default export is a number/],
          ["function.ts", "export default () => 1", /its default export is a function/]
        ]
        yield* Effect.forEach(
          modules,
          ([name, text, expected]) =>
            Effect.gen(function* () {
              const path = join(fixture.folder, name)
              if (text !== undefined) yield* Effect.promise(() => writeFile(path, text))
              const executor = yield* Process.start({ ...fixture.options(), module: name })
              const { code } = yield* executor.exited
              const [error, ...more] = executor.logs
              expect({ code, more }).toEqual({ code: 1, more: [] })
              expect(error?.logLevel).toBe("FATAL")
              expect(error?.message).toContain(`${path}: `)
              expect(error?.message).toMatch(expected)
            }),
          { concurrency: 2 }
        )
        expect(existsSync(fixture.env.DATABASE_FILE)).toBe(false)
      }),
    60_000
  )
})
