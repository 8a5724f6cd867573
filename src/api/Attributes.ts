/**
 * Attributes as they are given, to the API and on the command line: `name=value`. A value that is `true`,
 * `false` or a number is that; a text that would be one has quotes: `total="7"`.
 */

type Value = string | number | boolean

/** What a text says, which JSON has, or is. */
const valueOf = (text: string): Value => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return value
    }
  } catch {
    // a text without quotes
  }
  return text
}

/** Without `=`: it is `true`. */
export const parse = (given: string): readonly [name: string, value: Value] => {
  const at = given.indexOf("=")
  return at === -1 ? [given, true] : [given.slice(0, at), valueOf(given.slice(at + 1))]
}

export const text = ([name, value]: readonly [string, Value]): string =>
  `${name}=${typeof value === "string" && valueOf(value) === value ? value : JSON.stringify(value)}`
