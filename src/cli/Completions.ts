/**
 * Completions for shells come from `@effect/cli` (`--completions`). Its script for bash looks up a
 * command by another name than it gave it, where the name has a hyphen and where commands are nested
 * (`workflow-executor runs list` is both), and offers all choices of an option as one word.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const name = "workflow-executor"
const word = name.replaceAll("-", "__")

/** The script, mended. */
const mendBash = (script: string): string =>
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

/** Mends what is printed when it is the script for bash that is asked for. */
export const mended =
  (argv: ReadonlyArray<string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const asked = argv[argv.indexOf("--completions") + 1]
    return argv.includes("--completions") && (asked === "bash" || asked === "sh")
      ? Console.consoleWith((console) =>
          Effect.withConsole(effect, {
            ...console,
            log: (script: unknown) =>
              console.log(typeof script === "string" ? mendBash(script) : script)
          })
        )
      : effect
  }
