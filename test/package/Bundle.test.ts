/**
 * What a bundler makes of an app is executed in a folder in which there is nothing but the SQLite
 * driver: a bundle that needs a file of the package, or the package itself, does not start here.
 */
import { copyFile, mkdir, symlink } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { blocks } from "../docs/Pages.js"
import * as Process from "../support/Executor.js"
import * as App from "./App.js"

const scope = Effect.runSync(Scope.make())

let app: App.App

beforeAll(async () => {
  app = await Effect.runPromise(Scope.extend(App.make(), scope))
  for (const name of ["bundled.js", "required.cjs"]) {
    const from = fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
    await copyFile(from, join(app.folder, name))
  }
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const esbuild = join(App.root, "node_modules/.bin/esbuild")

const banner =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'

/** What docs/deploying.md says, for a file of another name. */
const bundles = {
  CommonJS: { file: "app.cjs", args: ["--format=cjs"] },
  "an ES module": { file: "app.mjs", args: ["--format=esm", `--banner:js=${banner}`] },
  "a minified ES module": {
    file: "small.mjs",
    args: ["--format=esm", `--banner:js=${banner}`, "--minify"]
  }
}

const driverOnly = Effect.gen(function* () {
  const folder = yield* Process.makeFolder
  yield* Effect.promise(async () => {
    await mkdir(join(folder, "node_modules"))
    for (const name of ["better-sqlite3", "bindings", "file-uri-to-path"]) {
      await symlink(join(App.root, "node_modules", name), join(folder, "node_modules", name), "dir")
    }
  })
  return folder
})

describe("an app that esbuild has bundled", () => {
  for (const [kind, { args, file }] of Object.entries(bundles)) {
    it.scopedLive(
      `starts as ${kind}, executes, answers, copies its file and stops`,
      () =>
        Effect.gen(function* () {
          const folder = yield* driverOnly
          const common = ["--bundle", "--platform=node", "--external:better-sqlite3"]
          const outfile = `--outfile=${join(folder, file)}`
          const built = yield* app.run(esbuild, "bundled.js", ...common, ...args, outfile)
          assert.strictEqual(built.code, 0, built.stderr)

          const executor = yield* Process.startReady({
            command: [process.execPath, join(folder, file)],
            cwd: folder
          })
          const { annotations } = yield* executor.ready
          assert.deepStrictEqual(annotations.workflows, ["Greet"])
          assert.strictEqual(annotations.database, join(folder, "bundled.db"))
          const { port } = new URL(yield* executor.url)
          assert.notStrictEqual(port, "0")
          yield* executor.stdoutHas(`copied; port ${port}`)

          const token = /^ey\S+$/m.exec(executor.stderr)?.[0]
          const ask = (path: string, body?: unknown) =>
            Effect.promise(async () => {
              const response = await fetch(`http://127.0.0.1:${port}${path}`, {
                headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
                ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
              })
              return (await response.json()) as Record<string, unknown>
            })
          const { runId } = yield* ask("/runs", { workflow: "Greet", payload: { name: "Ann" } })
          let run: Record<string, unknown> = {}
          while (run.status !== "completed") run = yield* ask(`/runs/${runId}`)
          assert.strictEqual(run.result, "hi Ann")
          assert.deepInclude((yield* ask("/openapi.json")).info, { version: "0.1.0" })

          const { code } = yield* executor.stop()
          assert.strictEqual(code, 0)
          assert.isTrue(executor.has("drain over"))
        }),
      120_000
    )
  }

  it("by the command lines of the docs", () => {
    const said = blocks("text")
      .filter(({ page }) => page === "docs/deploying.md")
      .flatMap(({ code }) => code.split("\n"))
      .filter((line) => line.startsWith("npx esbuild"))
    const common = "npx esbuild app.ts --bundle --platform=node --external:better-sqlite3"
    assert.deepStrictEqual(said, [
      `${common} --format=cjs --outfile=app.cjs`,
      `${common} --format=esm --outfile=app.mjs --banner:js='${banner}'`
    ])
  })
})

describe("an app in CommonJS", () => {
  it.effect("requires the package, and workflows with its own copy of Effect work", () =>
    Effect.gen(function* () {
      const file = join(app.folder, "required.cjs")
      const { code, stderr, stdout } = yield* app.run(process.execPath, file)
      assert.strictEqual(code, 0, stderr)
      const said: unknown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
      assert.deepStrictEqual(said, ["hi Ann", "nobody", "waves at Ann", true, 200])
    })
  )
})
