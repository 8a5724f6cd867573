/**
 * Packages that only the command needs, and that an app may therefore not have installed. What Node
 * says of a missing one is where it looked; what helps is what to install.
 */

const install = "npm install @effect/cli@0.77 @effect/printer@0.51 @effect/printer-ansi@0.51"

const needed: ReadonlySet<string | undefined> = new Set([
  "@effect/cli",
  "@effect/printer",
  "@effect/printer-ansi"
])

/** As in `Cannot find package '@effect/cli' imported from ...`. */
const named = /^Cannot find (?:package|module) '((?:@[^'/]+\/)?[^'/]+)/

/** What to install, where an import failed because one of them is missing; else `undefined`. */
export const explain = (error: unknown): string | undefined => {
  if (!(error instanceof Error && "code" in error)) return undefined
  if (error.code !== "ERR_MODULE_NOT_FOUND" && error.code !== "MODULE_NOT_FOUND") return undefined
  const name = named.exec(error.message)?.[1]
  return needed.has(name)
    ? `The command needs the package ${name}, which is not installed: ${install}`
    : undefined
}
