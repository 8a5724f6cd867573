/**
 * A version before this one, in a checkout of its own with its dependencies installed. Its own bench
 * measures its own engine, in turn with the others: what the two differ in is what was changed since.
 * Where a task of the bench was changed as well, they differ in that too.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join, resolve } from "node:path"

export interface Before {
  readonly label: string
  /** The module that a child process of it starts with. */
  readonly worker: string
}

/** Compiles it. Throws where there is no such checkout. */
export const prepare = (folder: string): Before => {
  const root = resolve(folder)
  const project = join(root, "bench", "tsconfig.build.json")
  for (const needed of [project, join(root, "node_modules")]) {
    if (!existsSync(needed)) {
      throw new Error(
        `--against is a checkout of this project after \`npm ci\`, but there is no ${needed}`
      )
    }
  }
  const out = join(root, "node_modules", ".cache", "bench")
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module", version: "0.0.0" }))
  const tsc = createRequire(join(root, "package.json")).resolve("typescript/bin/tsc")
  execFileSync(process.execPath, [tsc, "-p", project], { cwd: root, stdio: "inherit" })
  return {
    label: `before (${commitOf(root)}), SQLite FULL`,
    worker: join(out, "bench", "harness", "worker.js")
  }
}

/** Or its folder's name, where it is not under git. */
const commitOf = (root: string): string => {
  try {
    const text = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
    return text.trim()
  } catch {
    return root
  }
}
