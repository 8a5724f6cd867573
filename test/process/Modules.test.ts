import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
      expect(annotations.workflows).not.toEqual([])
      expect((yield* executor.stop()).code).toBe(0)
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
