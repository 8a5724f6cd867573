/** What the numbers were measured on. */
import { readFile, statfs } from "node:fs/promises"
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os"
import { join } from "node:path"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly system: string
  readonly node: string
  /** Of the minute before: what else was going on. */
  readonly load: number
  /** Where the database files lie. */
  readonly folder: string
  /** In a file system in memory a commit costs nothing: such a result says nothing of a disk. */
  readonly folderInMemory: boolean
  readonly packages: Readonly<Record<string, string>>
}

const packages = [
  "effect",
  "@effect/workflow",
  "@effect/cluster",
  "@effect/sql-sqlite-node",
  "better-sqlite3",
  "@effect/sql-pg",
  "pg"
]

const tmpfs = 0x01021994

export const read = async (root: string, folder: string): Promise<Machine> => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.version,
  load: loadavg()[0] ?? Number.NaN,
  folder,
  folderInMemory: (await statfs(folder)).type === tmpfs,
  packages: Object.fromEntries(
    await Promise.all(packages.map(async (name) => [name, await versionOf(root, name)] as const))
  )
})

const versionOf = async (root: string, name: string): Promise<string> => {
  const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8")
  const { version }: { readonly version: string } = JSON.parse(text)
  return version
}

export const describe = (machine: Machine): string =>
  [
    `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, ${machine.system}, Node ${machine.node}`,
    Object.entries(machine.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    ...(machine.load > 0.5
      ? [`LOAD ${machine.load.toFixed(1)} before the start: the numbers are noisy`]
      : []),
    `files in ${machine.folder}${machine.folderInMemory ? ": IN MEMORY, its commits cost nothing; set TMPDIR to a folder on a disk" : ""}`
  ].join("\n")
