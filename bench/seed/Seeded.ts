/** Files with many runs, made once and copied for each use. */
import { createHash } from "node:crypto"
import { constants, existsSync } from "node:fs"
import { copyFile, mkdir, open, readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { migrations } from "../../src/store/sqlite/Migrations.js"
import type { Context } from "../cases/Case.js"
import type { Input, Output } from "../tasks/Seed.js"

/** Grows when what `Seed` writes changes. */
const version = 1

/** A new file in the case's folder, with these runs. */
export const make = async (
  { open, progress }: Context,
  filename: string,
  input: Input
): Promise<Output> => {
  progress(`makes a file with ${input.count.toLocaleString("en-US")} ${input.kind} runs`)
  const session = await open("Seed", { filename })
  const output = await session.ask(input)
  await session.close()
  await settle(filename)
  return output
}

/** As `make`; but the file is kept in the cache, for as long as the schema stays as it is. */
export const makeCached = async (
  context: Context,
  filename: string,
  input: Input
): Promise<void> => {
  const schema = createHash("sha256").update(JSON.stringify(migrations)).digest("hex").slice(0, 12)
  const cached = join(
    context.cache,
    `${input.kind}-${input.count}-schema-${schema}-seed-${version}.db`
  )
  if (!existsSync(cached)) {
    await mkdir(context.cache, { recursive: true })
    for (const name of await readdir(context.cache)) {
      // of an earlier schema
      if (name.startsWith(`${input.kind}-${input.count}-`)) await rm(join(context.cache, name))
    }
    const unfinished = `${cached}.${process.pid}`
    await make(context, unfinished, input)
    await rename(unfinished, cached)
    for (const suffix of ["-wal", "-shm"]) await rm(`${unfinished}${suffix}`, { force: true })
  }
  context.progress(`copies ${cached}`)
  await copy(cached, filename)
}

/** So that every round begins with the same file. */
export const copy = async (from: string, to: string): Promise<void> => {
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  await settle(to)
}

/** Written back now, rather than by the first commit that is measured. */
const settle = async (filename: string): Promise<void> => {
  const file = await open(filename, "r+")
  await file.sync()
  await file.close()
}
