/**
 * Completions for shells come from `@effect/cli` (`--completions`). Its script for bash looks up a
 * command by another name than it gave it, where the name has a hyphen and where commands are nested
 * (`workflow-executor runs list` is both), and offers all choices of an option as one word.
 */

const name = "workflow-executor"
const word = name.replaceAll("-", "__")

/** The script, mended. */
export const mendBash = (script: string): string =>
  script
    .replace(`cmd="${name}"`, `cmd="${word}"`)
    .replace(new RegExp(`^(\\s*)${name}\\)$`, "m"), `$1${word})`)
    .replace(
      new RegExp(`^(\\s*)(${word}(?:,[\\w-]+)+)(,[\\w-]+\\))$`, "gm"),
      (_, indent: string, parents: string, last: string) =>
        `${indent}${parents.replaceAll(",", "__")}${last}`
    )
    .replace(
      /compgen -W "([^"$]+)"/g,
      (_, choices: string) => `compgen -W "${choices.replaceAll(",", " ")}"`
    )
