// `npm run bench`: compiles src and bench to plain JavaScript, then measures that. Nothing of a
// TypeScript loader is in the processes that are measured. `npm run check` is what checks types.
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)
const out = join(root, "node_modules", ".cache", "bench")
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc")

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module", version }))

const run = (...args) => {
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" })
  if (status !== 0) {
    process.exitCode = status ?? 1
    if (signal !== null) console.error(`ended by ${signal}`)
  }
  return status === 0
}

// `npm run bench:cluster` says `cluster/main.js`
const [script] = process.argv.slice(2)
const [main, args] = script?.endsWith("main.js")
  ? [script, process.argv.slice(3)]
  : ["main.js", process.argv.slice(2)]

if (run(tsc, "-p", join(here, "tsconfig.build.json"))) {
  run("--enable-source-maps", join(out, "bench", main), ...args)
}
