/**
 * An empty folder into which the packed package was put, as `npm install` would.
 *
 * The tarball's own files are what is tested. What the package depends on is linked from here
 * rather than downloaded, and only that: a dependency that package.json does not name is not found.
 */
import { execFile } from "node:child_process"
import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Process from "../support/Executor.js"

export const root = fileURLToPath(new URL("../..", import.meta.url))

const Names = Schema.Record({ key: Schema.String, value: Schema.String })

const Manifest = Schema.Struct({
  name: Schema.String,
  bin: Names,
  exports: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  dependencies: Names,
  peerDependencies: Names
})

const decodeManifest = Schema.decodeUnknownSync(Schema.parseJson(Manifest))

const Packed = Schema.parseJson(
  Schema.Tuple(
    Schema.Struct({
      filename: Schema.String,
      files: Schema.Array(Schema.Struct({ path: Schema.String }))
    })
  )
)

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const execute = promisify(execFile)

export const run = (cwd: string, command: string, args: ReadonlyArray<string>): Promise<Ran> =>
  execute(command, args, { cwd, maxBuffer: 1 << 26 }).then(
    ({ stderr, stdout }) => ({ code: 0, stdout, stderr }),
    ({ code, stderr, stdout }) => ({ code: Number(code), stdout, stderr })
  )

/** Packs what `npm run build` has built, without building it again: other tests run it meanwhile. */
export const pack = async (folder: string) => {
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder]
  const { code, stderr, stdout } = await run(root, "npm", args)
  if (code !== 0) throw new Error(stderr)
  const [{ filename, files }] = Schema.decodeUnknownSync(Packed)(stdout)
  return { tarball: join(folder, filename), files: files.map(({ path }) => path) }
}

const install = async (folder: string, tarball: string, without: ReadonlyArray<string>) => {
  const modules = join(folder, "node_modules")
  const unpacked = join(modules, "effect-workflow-executor")
  await mkdir(unpacked, { recursive: true })
  const { code, stderr } = await run(unpacked, "tar", ["-xzf", tarball, "--strip-components=1"])
  if (code !== 0) throw new Error(stderr)
  const manifest = decodeManifest(await readFile(join(unpacked, "package.json"), "utf8"))
  // those of an app in TypeScript, too
  const own = ["typescript", "@types/node"]
  const all = [...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }), ...own]
  const names = all.filter((name) => !without.includes(name))
  for (const name of names) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(root, "node_modules", name), join(modules, name), "dir")
  }
  await mkdir(join(modules, ".bin"))
  for (const [name, file] of Object.entries(manifest.bin)) {
    await symlink(join(unpacked, file), join(modules, ".bin", name))
  }
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }\n')
  for (const name of ["flow.js", "flow.ts", "program.ts"]) {
    const to = join(folder, name === "flow.js" ? "plain.js" : name)
    await copyFile(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url)), to)
  }
  return { manifest, unpacked }
}

/** @param without packages that it names and the app does not have */
export const make = Effect.fnUntraced(function* (without: ReadonlyArray<string> = []) {
  const folder = yield* Process.makeFolder
  const { files, tarball } = yield* Effect.promise(() => pack(folder))
  const { manifest, unpacked } = yield* Effect.promise(() => install(folder, tarball, without))
  return {
    /** Of the app. */
    folder,
    /** Of the package in it. */
    unpacked,
    manifest,
    /** What was packed, relative to the package. */
    files,
    run: (command: string, ...args: ReadonlyArray<string>) =>
      Effect.promise(() => run(folder, command, args)),
    /** The installed command, ready. */
    start: (module: string | undefined, name: string) =>
      Process.startReady({
        command: [
          process.execPath,
          join(folder, "node_modules/.bin/workflow-executor"),
          "start",
          ...(module === undefined ? [] : [module])
        ],
        cwd: folder,
        env: { DATABASE_FILE: join(folder, "data", `${name}.db`) }
      })
  }
})

export type App = Effect.Effect.Success<ReturnType<typeof make>>
