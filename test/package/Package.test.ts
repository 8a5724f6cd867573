import { readdirSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as App from "./App.js"

const scope = Effect.runSync(Scope.make())

let app: App.App

beforeAll(async () => {
  app = await Effect.runPromise(Scope.extend(App.make(), scope))
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** The modules of `src`, without extension; the dashboard is packed as it is built. */
const modules = readdirSync(join(App.root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => path.replaceAll("\\", "/").replace(/\.ts$/, ""))
  .filter((path) => !path.startsWith("dashboard/"))
  .sort()

/** What a program may import. */
const entries = ["client", "command", "core", "http", "postgres", "sqlite"]

/** The packages of which the types of a module need types, and those of the modules that it takes them from. */
const packagesOf = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
  const packages = new Set<string>()
  if (seen.has(file)) return packages
  seen.add(file)
  for (const [, from = ""] of readFileSync(file, "utf8").matchAll(imported)) {
    if (from.startsWith(".")) {
      const module = join(dirname(file), from.replace(/\.js$/, ".d.ts"))
      for (const name of packagesOf(module, seen)) packages.add(name)
    } else packages.add(from.split("/", from.startsWith("@") ? 2 : 1).join("/"))
  }
  return packages
}

const imported = /(?:\bfrom\s+|\bimport\s+|\bimport\()"([^"]+)"/g

describe("the package", () => {
  it("holds every module's code and types, their sources, and none that is no more", () => {
    const built = [".js", ".d.ts", ".js.map", ".d.ts.map"].flatMap((extension) =>
      modules.map((module) => `dist/${module}${extension}`)
    )
    assert.deepStrictEqual(
      app.files.filter((path) => path.startsWith("dist/") && !path.startsWith("dist/ui/")).sort(),
      built.sort(),
      "dist is not what src says: npm run build"
    )
    assert.deepStrictEqual(
      app.files.filter((path) => path.startsWith("src/")).sort(),
      ["src/engine/README.md", ...modules.map((module) => `src/${module}.ts`)].sort()
    )
  })

  it("asks for the types of no optional peer where its entry does not", () => {
    for (const entry of ["index", ...entries]) {
      const asked = packagesOf(join(app.unpacked, "dist", `${entry}.d.ts`))
      const optional = ["@effect/sql-pg", "pg", "@effect/opentelemetry", "vitest"]
      const expected = entry === "postgres" ? ["@effect/sql-pg"] : []
      assert.deepStrictEqual(
        optional.filter((name) => asked.has(name)),
        expected,
        entry
      )
      assert.isTrue(asked.has("effect"), entry)
    }
  })

  it("holds the dashboard as it is built, with the licenses of what is in it", () => {
    const kinds = app.files
      .filter((path) => path.startsWith("dist/ui/"))
      .map((path) => path.replace(/-[\w-]{8}\./, "-HASH."))
    assert.deepStrictEqual(kinds.sort(), [
      "dist/ui/assets/icon-HASH.svg",
      "dist/ui/assets/index-HASH.css",
      "dist/ui/assets/index-HASH.js",
      "dist/ui/index.html",
      "dist/ui/licenses.txt"
    ])
    const licenses = readFileSync(join(app.unpacked, "dist/ui/licenses.txt"), "utf8")
    for (const name of ["effect", "@effect/platform", "preact", "@preact/signals"]) {
      assert.include(licenses, `## ${name} - `)
    }
  })

  it("holds nothing else but docs, examples and what to deploy it with", () => {
    const rest = app.files.filter((path) => !/^(dist|src|docs|examples|deploy)\//.test(path))
    assert.deepStrictEqual(rest.filter((path) => path !== "CHANGELOG.md").sort(), [
      "LICENSE",
      "README.md",
      "llms.txt",
      "package.json"
    ])
    assert.notMatch(app.files.join("\n"), /\.(test\.ts|db|db-wal|tsbuildinfo|tgz)$/m)
  })

  it("leaves no file out that its pages link to", () => {
    const missing = app.files
      .filter((path) => path.endsWith(".md"))
      .flatMap((path) => {
        const text = readFileSync(join(app.unpacked, path), "utf8")
        return Array.from(text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g), ([, target = ""]) => target)
          .filter((target) => !/^https?:/.test(target))
          .map((target) => join(path, "..", target))
      })
      // folders of the repository that are no use without it
      .filter((path) => !/^(test|bench)\b/.test(path))
      .filter((path) => !app.files.some((file) => file === path || file.startsWith(`${path}/`)))
    assert.deepStrictEqual(missing, [])
  })
})

describe("the command, from JavaScript and TypeScript", () => {
  for (const [module, kind] of [
    ["plain.js", "JavaScript"],
    ["flow.ts", "TypeScript"]
  ] as const) {
    it.scopedLive(`runs a workflow in ${kind}`, () =>
      Effect.gen(function* () {
        const executor = yield* app.start(module, kind)
        const runId = yield* executor.run("Greet", { name: "Ann" })
        const run = yield* executor.completed(runId)
        assert.strictEqual(run.result, "hi Ann")
        assert.deepStrictEqual(
          run.steps.map(({ name, status }) => [name, status]),
          [["greet", "completed"]]
        )
        assert.strictEqual((yield* executor.stop()).code, 0)
        // of which one would say that there are two copies of effect
        assert.deepStrictEqual(
          executor.logs.filter(({ logLevel }) => logLevel !== "INFO"),
          []
        )
      })
    )
  }

  it.scopedLive("runs the bundled example where it is given no module", () =>
    Effect.gen(function* () {
      const executor = yield* app.start(undefined, "example")
      const { annotations } = yield* executor.ready
      assert.deepStrictEqual(annotations.workflows, ["Order"])
      assert.strictEqual((yield* executor.stop()).code, 0)
    })
  )

  it.effect("says its version", () =>
    Effect.gen(function* () {
      const bin = join(app.folder, "node_modules/.bin/workflow-executor")
      const { code, stdout } = yield* app.run(process.execPath, bin, "--version")
      assert.strictEqual(code, 0)
      assert.match(stdout, /^\d+\.\d+\.\d+/)
    })
  )
})

/** What a project of a user's has in its tsconfig.json. */
const options = {
  target: "ES2022",
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  types: ["node"],
  outDir: "out"
}

const settings = {
  NodeNext: { module: "NodeNext", moduleResolution: "NodeNext" },
  Bundler: { module: "ESNext", moduleResolution: "Bundler", outDir: "bundler" }
}

describe("a program that imports the package", () => {
  for (const [name, resolution] of Object.entries(settings)) {
    it.effect(
      `type-checks with moduleResolution ${name}, and works`,
      () =>
        Effect.gen(function* () {
          const compilerOptions = { ...options, ...resolution }
          const file = join(app.folder, `tsconfig.${name}.json`)
          const config = { compilerOptions, files: ["program.ts"] }
          yield* Effect.promise(() => writeFile(file, JSON.stringify(config)))
          const tsc = join(app.folder, "node_modules/typescript/bin/tsc")
          const checked = yield* app.run(process.execPath, tsc, "-p", file)
          assert.deepStrictEqual(checked, { code: 0, stdout: "", stderr: "" })
          const program = join(app.folder, compilerOptions.outDir, "program.js")
          const { code, stderr, stdout } = yield* app.run(process.execPath, program)
          assert.strictEqual(code, 0, stderr)
          // the lines before it are the log
          const said = stdout.trim().split("\n").at(-1) ?? ""
          assert.deepInclude(JSON.parse(said), { greeting: "hi Ann", empty: 0, paths: true })
        }),
      120_000
    )
  }

  it.effect("can import what has a name of its own, and no other module", () =>
    Effect.gen(function* () {
      const program = `
        const found = {}
        for (const module of ${JSON.stringify(modules)}) {
          const loaded = import(\`effect-workflow-executor/\${module}\`)
          const refused = ({ code, message }) =>
            code ?? (message.includes("without running \\"vitest\\"") ? "for Vitest" : message)
          found[module] = await loaded.then(() => "loaded", refused)
        }
        console.log(JSON.stringify(found))`
      const file = join(app.folder, "modules.mjs")
      yield* Effect.promise(() => writeFile(file, program))
      const { stderr, stdout } = yield* app.run(process.execPath, file)
      assert.strictEqual(stderr, "")
      assert.deepStrictEqual(
        JSON.parse(stdout),
        Object.fromEntries(
          modules.map((module) => [
            module,
            module === "testing"
              ? "for Vitest"
              : entries.includes(module)
                ? "loaded"
                : "ERR_PACKAGE_PATH_NOT_EXPORTED"
          ])
        )
      )
    })
  )

  it.effect("finds nothing in the types that is the package's own", () =>
    Effect.gen(function* () {
      const declared = app.files.filter((path) => /^dist\/.*\.d\.ts$/.test(path))
      assert.include(declared, "dist/engine/held/Dispatcher.d.ts")
      const internal = declared.filter((path) =>
        readFileSync(join(app.unpacked, path), "utf8").includes("@internal")
      )
      assert.deepStrictEqual(internal, [])
    })
  )
})

const loads = (run: App.App["run"], module: string) =>
  Effect.map(
    run(process.execPath, "--input-type=module", "--eval", `await import("${module}")`),
    (loaded) => assert.deepStrictEqual(loaded, { code: 0, stdout: "", stderr: "" })
  )

describe("an app that has not installed what only a part of the package needs", () => {
  const command = ["@effect/cli", "@effect/printer", "@effect/printer-ansi"]

  it.scopedLive("is told by the command what to install", () =>
    Effect.gen(function* () {
      const { folder, run } = yield* App.make(command)
      const bin = join(folder, "node_modules/.bin/workflow-executor")
      const { code, stderr, stdout } = yield* run(process.execPath, bin, "--version")
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      assert.match(
        stderr,
        /^The command needs the package @effect\/cli.*: npm install @effect\/cli@/
      )
      assert.strictEqual(stderr.trim().split("\n").length, 1)
    })
  )

  it.scopedLive("executes all the same: without the command", () =>
    Effect.gen(function* () {
      const { folder, run } = yield* App.make(command)
      const { code, stderr } = yield* run(process.execPath, join(folder, "plain.js"))
      assert.strictEqual(code, 0, stderr)
      yield* loads(run, "effect-workflow-executor")
    })
  )

  it.scopedLive("has the engine without SQLite, HTTP and the command", () =>
    Effect.gen(function* () {
      const { run } = yield* App.make([
        ...command,
        "@effect/sql-sqlite-node",
        "@effect/platform-node",
        "jose",
        "jiti"
      ])
      yield* loads(run, "effect-workflow-executor/core")
      yield* loads(run, "effect-workflow-executor/client")
    })
  )

  it.effect("has a client that a browser can load: nothing of Node is in it", () =>
    Effect.gen(function* () {
      const file = join(app.folder, "browser.mjs")
      const program = `import { Client } from "effect-workflow-executor/client"
        globalThis.client = Client.layerFetch`
      yield* Effect.promise(() => writeFile(file, program))
      const esbuild = join(App.root, "node_modules/.bin/esbuild")
      const out = join(app.folder, "browser.js")
      const args = ["--bundle", "--platform=browser", "--format=esm", `--outfile=${out}`]
      // a module of Node's would be one that cannot be resolved
      const { code, stderr } = yield* app.run(esbuild, file, ...args)
      assert.strictEqual(code, 0, stderr)
      const bundle = readFileSync(out, "utf8")
      assert.notMatch(bundle, /jose|better-sqlite3/)
      assert.include(bundle, "/runs/counts")
    })
  )
})
