/**
 * The command line as `@effect/cli` is given it. An empty or missing value of an option that may be
 * repeated it takes for an option that was not given: a filter that is not there means all runs, a scope
 * that is not there all rights. And of these it knows no `--tag=eu`.
 */
import * as Either from "effect/Either"

const repeated: ReadonlySet<string> = new Set(["tag", "attribute", "status", "scope", "include"])

/** Without these another database would be meant. */
const named: ReadonlySet<string> = new Set(["database", "database-url"])

/** Each value in a word of its own; or what is wrong. */
export const separated = (
  argv: ReadonlyArray<string>
): Either.Either<ReadonlyArray<string>, string> => {
  const words: Array<string> = []
  for (const [index, word] of argv.entries()) {
    const [, option = "", inline] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? []
    const isRepeated = repeated.has(option)
    if (!isRepeated && !named.has(option)) {
      words.push(word)
      continue
    }
    const value = inline ?? argv[index + 1]
    if (value === undefined || (isRepeated && inline === undefined && value.startsWith("--"))) {
      return Either.left(`--${option} lacks its value`)
    }
    if (value.trim() === "") {
      return Either.left(
        `--${option} is ${JSON.stringify(value)}; expected a value that is not empty`
      )
    }
    words.push(...(isRepeated && inline !== undefined ? [`--${option}`, inline] : [word]))
  }
  return Either.right(words)
}
