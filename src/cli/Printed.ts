/**
 * What `@effect/cli` prints, mended: help is plain where it is not for a terminal, and a command line
 * that is none is told by its option, or its command, and what it could have been.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { mendBash } from "./Completions.js"

/** The commands by their names, each with those under it. */
export type Commands = Readonly<Record<string, ReadonlyArray<string>>>

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g")

const isPlain = (output: { readonly isTTY?: boolean }) =>
  output.isTTY !== true || (process.env.NO_COLOR ?? "") !== ""

const isOption = (word: string) => word.startsWith("-")

const refusal = (option: string, value: string, allowed: ReadonlyArray<string>) =>
  `--${option} is ${JSON.stringify(value)}; expected one of ${allowed.join(", ")}`

/** Of an option with choices only these are told: here is its name, and what was given. */
const ofChoice = (text: string, argv: ReadonlyArray<string>): string | undefined => {
  const [, list = ""] = /^Expected one of the following cases: (.*)/.exec(text) ?? []
  const cases = list.split(", ")
  for (const [index, word] of argv.entries()) {
    const [, option, inline] = /^--([\w-]+)(?:=(.*))?$/.exec(word) ?? []
    const value = inline ?? argv[index + 1]
    if (option === undefined || value === undefined || cases.includes(value)) continue
    if (choices[option] === cases[0]) {
      return refusal(option, value, cases)
    }
  }
  return undefined
}

/** Options with choices, by the first of them. */
const choices: Readonly<Record<string, string | undefined>> = {
  status: "pending",
  include: "payload",
  only: "payload",
  scope: "runs:read",
  overlap: "skip",
  "on-conflict": "use"
}

/** The one argument with choices, by the first of them. */
const ofAction = (text: string, argv: ReadonlyArray<string>): string | undefined => {
  const [, list] = /^Expected one of the following cases: (retry, .*)/.exec(text) ?? []
  const given = argv[argv.indexOf("bulk") + 1]
  return list === undefined || given === undefined
    ? undefined
    : `${JSON.stringify(given)} is no action of runs bulk; expected one of ${list}`
}

const noOption = (word: string, of: string) =>
  `${word} is no option of ${of}, or its value is missing`

/** An option that the command does not have is taken for an argument that it does not take. */
const ofUnknown = (text: string, argv: ReadonlyArray<string>): string | undefined => {
  const [, flag] = /^The flag '(--[^']+)' is not recognized/.exec(text) ?? []
  // another is offered for one that is misspelt, and so it is for one that only lacks its value
  if (flag !== undefined && argv.at(-1) === flag) return noOption(flag, "this command")
  const [, option] = /^Received unknown argument: '(--[^']+)'/.exec(text) ?? []
  return option === undefined ? undefined : noOption(option, "this command")
}

/** Options of all commands, and their choices. */
const ofAll = {
  "log-level": ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"],
  completions: ["sh", "bash", "fish", "zsh"]
}

const isOfAll = (word: string) => ofAllNames.has(word.replace(/=.*$/, ""))

const ofAllNames = new Set([...Object.keys(ofAll), "help", "version"].map((name) => `--${name}`))

/** Whatever is wrong before the command, or with it, those of the top are offered: here is what. */
const ofCommand = (text: string, argv: ReadonlyArray<string>, commands: Commands) => {
  if (!text.startsWith("Invalid subcommand")) return undefined
  const values = new Set<string>()
  for (const [option, allowed] of Object.entries(ofAll)) {
    const value = argv[argv.indexOf(`--${option}`) + 1]
    if (!argv.includes(`--${option}`) || value === undefined) continue
    if (!allowed.includes(value.toLowerCase())) return refusal(option, value, allowed)
    values.add(value)
  }
  const words = argv.slice(2).filter((word) => !isOption(word) && !values.has(word))
  const [first = "", second = ""] = words
  const own = commands[first]
  const none = argv.slice(2).find((word) => isOption(word) && !isOfAll(word))
  if (none !== undefined && (first === "" || (own !== undefined && second === ""))) {
    return noOption(none, first === "" ? "workflow-executor" : first)
  }
  if (own === undefined) {
    return `There is no command ${JSON.stringify(first)}; there are ${Object.keys(commands).join(", ")}`
  }
  return own.length > 0 && !own.includes(second)
    ? `There is no command ${JSON.stringify(`${first} ${second}`)}; those of ${first} are ${own.join(", ")}`
    : undefined
}

export const mended =
  (argv: ReadonlyArray<string>, commands: Commands) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const asked = argv[argv.indexOf("--completions") + 1]
    const isBash = argv.includes("--completions") && (asked === "bash" || asked === "sh")
    const onOutput = (text: string) => {
      const shown = isPlain(process.stdout) ? text.replace(escapes, "") : text
      return isBash ? mendBash(shown) : shown
    }
    const onError = (text: string) => {
      const bare = text.replace(escapes, "")
      const mend =
        ofChoice(bare, argv) ??
        ofAction(bare, argv) ??
        ofUnknown(bare, argv) ??
        ofCommand(bare, argv, commands)
      return mend ?? (isPlain(process.stderr) ? bare : text)
    }
    return Console.consoleWith((console) =>
      Effect.withConsole(effect, {
        ...console,
        log: (text: unknown) => console.log(typeof text === "string" ? onOutput(text) : text),
        error: (text: unknown) => console.error(typeof text === "string" ? onError(text) : text)
      })
    )
  }
