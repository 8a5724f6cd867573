/** Every line that says what to install, executed by npm against a registry of its own. */
import { readFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { explain } from "../../src/internal/MissingPeer.js"
import * as Pages from "../docs/Pages.js"
import * as Process from "../support/Executor.js"
import * as App from "./App.js"
import * as Registry from "./Registry.js"

const own = "effect-workflow-executor"

const isInstall = (text: string) => /\bnpm (install|i) (?!-g|--global)/.test(text)

const fromPages = Pages.pages
  .flatMap(({ blocks }) => blocks)
  .flatMap(Pages.commands)
  .filter(({ at, name }) => name === "npm" && isInstall(at))
  .map(({ args, at }) => ({ at, args }))

const notFound = Object.assign(new Error("Cannot find package '@effect/cli' imported from x"), {
  code: "ERR_MODULE_NOT_FOUND"
})

const fromTexts = [
  { at: "llms.txt", text: readFileSync(join(App.root, "llms.txt"), "utf8") },
  { at: "the error of a missing peer", text: explain(notFound) ?? "" }
].flatMap(({ at, text }) =>
  Array.from(text.matchAll(/npm (install .*)$/gm), ([line, args = ""]) => ({
    at: `${at}: ${line}`,
    args: args.trim().split(" ")
  }))
)

const Lock = Schema.parseJson(
  Schema.Struct({
    packages: Schema.Record({
      key: Schema.String,
      value: Schema.Struct({ version: Schema.optionalWith(Schema.String, { exact: true }) })
    })
  })
)

const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]

/** An empty project, and npm in it. */
const project = (registry: string, folder: string) =>
  Effect.promise(async () => {
    const home = join(folder, "home")
    await mkdir(home)
    await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }\n')
    await writeFile(join(folder, ".npmrc"), `registry=${registry}\ncache=${join(home, "cache")}\n`)
    return (...args: ReadonlyArray<string>) =>
      Effect.promise(() => App.run(folder, "npm", [...args, ...options]))
  })

/** Name and version of all that it would have installed. */
const locked = (folder: string) =>
  Object.entries(
    Schema.decodeUnknownSync(Lock)(readFileSync(join(folder, "package-lock.json"), "utf8")).packages
  )
    .filter(([path]) => path !== "")
    .map(([path, { version }]) => [path.replace(/^node_modules\//, ""), version] as const)

/** Of the package itself; what else there is to install comes after it. */
const [mains, others] = Arr.partition(
  [...fromPages, ...fromTexts],
  ({ args }) => !args.includes(own)
)

const effectsOf = (folder: string) =>
  locked(folder)
    .filter(([path]) => /(^|\/node_modules\/)effect$/.test(path))
    .map(([, version]) => version)
    .join()

describe("what is said to be installed", () => {
  it("is said at all", () => {
    assert.isAtLeast(mains.length, 2)
    assert.isAtLeast(others.length, 4)
  })

  it.scopedLive(
    "goes together, and has one Effect, which is 3",
    () =>
      Effect.gen(function* () {
        const registry = yield* Registry.make(yield* Process.makeFolder)
        for (const main of new Set(mains.map(({ args }) => args.join(" ")))) {
          const folder = yield* Process.makeFolder
          const npm = yield* project(registry, folder)
          for (const { args, at } of [{ at: main, args: main.split(" ") }, ...others]) {
            const { code, stderr } = yield* npm(...args, "--package-lock-only")
            assert.deepStrictEqual({ at, code, stderr }, { at, code: 0, stderr: "" })
            assert.match(effectsOf(folder), /^3\.\d+\.\d+$/, at)
          }
        }
      }),
    120_000
  )

  it.scopedLive(
    "would not go together where it named no versions",
    () =>
      Effect.gen(function* () {
        const registry = yield* Registry.make(yield* Process.makeFolder)
        const folder = yield* Process.makeFolder
        const npm = yield* project(registry, folder)
        yield* npm(...(mains[0]?.args ?? []), "--package-lock-only")
        const { code, stderr } = yield* npm(
          ...["install", "@effect/opentelemetry", "--package-lock-only"]
        )
        assert.strictEqual(code, 1)
        assert.include(stderr, "ERESOLVE")
      }),
    60_000
  )

  it.scopedLive(
    "is there then: the command says its version",
    () =>
      Effect.gen(function* () {
        const registry = yield* Registry.make(yield* Process.makeFolder)
        const folder = yield* Process.makeFolder
        const npm = yield* project(registry, folder)
        assert.deepInclude(yield* npm(...(mains[0]?.args ?? [])), { code: 0, stderr: "" })
        const bin = join(folder, "node_modules/.bin/workflow-executor")
        const { code, stdout } = yield* Effect.promise(() =>
          App.run(folder, process.execPath, [bin, "--version"])
        )
        assert.strictEqual(code, 0)
        assert.match(stdout, /^\d+\.\d+\.\d+/)
      }),
    120_000
  )
})
