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
  ["Executor", "PostgresStore", "CoreLayers", "Misplaced", "Settings"],
  ["http/"],
  ["client/"],
  ["queues/"],
  ["runner/"],
  ["engine/Engine", "engine/Step", "engine/Program"],
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

const modules = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => path.replaceAll("\\", "/").replace(/\.ts$/, ""))

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
