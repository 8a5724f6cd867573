/** What `docs/architecture.md` says of the folders: none imports one above it, and nothing a circle. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

const root = fileURLToPath(new URL("../../src", import.meta.url))

/** From the top down. */
const layers = [
  ["index", "bin", "core", "sqlite", "postgres", "http", "client", "command", "testing"],
  ["cli/"],
  ["facade/"],
  ["Executor", "PostgresStore", "PostgresOptions", "CoreLayers", "Misplaced", "Settings"],
  ["http/"],
  ["client/"],
  ["queues/"],
  ["runner/"],
  ["engine/Engine", "engine/Step", "engine/Program"],
  ["engine/calls/"],
  ["engine/held/"],
  ["engine/step/"],
  ["engine/pass/"],
  ["engine/run/"],
  ["engine/"],
  ["events/"],
  ["testing/"],
  ["store/sqlite/", "store/postgres/"],
  ["store/"],
  ["values/"],
  ["telemetry/"],
  ["api/"],
  ["BoundedRelease", "RunMain", "internal/"]
]

const layerOf = (module: string) =>
  layers.findIndex((names) =>
    names.some((name) => (name.endsWith("/") ? module.startsWith(name) : module === name))
  )

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => /\.tsx?$/.test(path))

const isDashboard = (path: string) => path.startsWith("dashboard/")

const modules = files.filter((path) => !isDashboard(path)).map((path) => path.replace(/\.ts$/, ""))

/** The modules that one loads: imports of types alone are gone when it runs. */
const loads = (module: string): ReadonlyArray<string> => {
  const text = readFileSync(join(root, `${module}.ts`), "utf8")
  const found = text.matchAll(/^(?:import|export)\s+(?!type\b)[^"]*?from\s+"(\.[^"]+)\.js"/gm)
  return Array.from(found, ([, path = ""]) => normalize(join(dirname(module), path)))
}

const loadedBy = new Map(modules.map((module) => [module, loads(module)]))

describe("the folders of src", () => {
  it("are all in the list", () => {
    assert.deepStrictEqual(
      modules.filter((module) => layerOf(module) === -1),
      []
    )
    assert.isAbove(modules.length, 100)
  })

  it("load what is below them, and nothing above", () => {
    const upward = modules.flatMap((module) =>
      loads(module)
        .filter((other) => layerOf(other) < layerOf(module))
        .map((other) => `${module} -> ${other}`)
    )
    assert.deepStrictEqual(upward, [])
  })

  it("of stores are siblings: neither loads anything of the other", () => {
    const across = modules.flatMap((module) =>
      loads(module)
        .filter((other) =>
          ["store/sqlite/", "store/postgres/"].some(
            (folder) =>
              module.startsWith("store/") && other.startsWith(folder) && !module.startsWith(folder)
          )
        )
        .map((other) => `${module} -> ${other}`)
    )
    assert.deepStrictEqual(across, [])
  })

  it("have no circles", () => {
    const done = new Set<string>()
    const circles: Array<string> = []
    const visit = (module: string, path: ReadonlyArray<string>) => {
      if (path.includes(module)) {
        circles.push([...path.slice(path.indexOf(module)), module].join(" -> "))
      }
      if (done.has(module)) return
      done.add(module)
      for (const other of loadedBy.get(module) ?? []) visit(other, [...path, module])
    }
    for (const module of modules) visit(module, [])
    assert.deepStrictEqual(circles, [])
  })
})

describe("the dashboard", () => {
  /** Paths from `src`, or the names of packages. */
  const importsOf = (path: string) =>
    Array.from(
      readFileSync(join(root, path), "utf8").matchAll(
        /^(?:import|export)\s[^"=;]*?from\s+"([^"]+)"/gm
      ),
      ([, from = ""]) => (from.startsWith(".") ? normalize(join(dirname(path), from)) : from)
    )

  it("imports of the executor its API and its client, and nothing else", () => {
    const ofDashboard = files.filter(isDashboard)
    assert.isAbove(ofDashboard.length, 30)
    const others = ofDashboard.flatMap((path) =>
      importsOf(path)
        .filter((from) => !/^(dashboard|api|client)\//.test(from))
        .filter((from) => !/^(preact|effect|@preact\/signals|@effect\/platform)(\/|$)/.test(from))
        .map((from) => `${path} -> ${from}`)
    )
    assert.deepStrictEqual(others.sort(), [
      "dashboard/vite.config.ts -> node:url",
      "dashboard/vite.config.ts -> vite"
    ])
  })

  it("is imported by nobody: it is built, and served as files", () => {
    const importers = files.filter(
      (path) => !isDashboard(path) && importsOf(path).some((from) => from.startsWith("dashboard/"))
    )
    assert.deepStrictEqual(importers, [])
  })

  it("makes no markup of data", () => {
    for (const path of files.filter(isDashboard)) {
      const text = readFileSync(join(root, path), "utf8")
      assert.notMatch(
        text,
        /innerHTML|outerHTML|dangerously|insertAdjacent|document\.write|createContextualFragment|\beval\(|new Function/,
        path
      )
    }
  })
})
