/**
 * JSON is read with numbers of 64 bits, here and by the executor: one that has more digits than they
 * hold would arrive as another number, and nobody would be told.
 */

const numberAtStart = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/

/** Digits without leading and trailing zeros, and where their point is. */
const normalized = (text: string) => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().replace(/^[-+]/, "").split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  const digits = `${whole}${fraction}`
  const leading = /^0*/.exec(digits)?.[0].length ?? 0
  const significant = digits.slice(leading).replace(/0+$/, "")
  return significant === ""
    ? "0"
    : `${significant}@${whole.length - leading + Number.parseInt(exponent, 10)}`
}

/** Whether a number that is written so is read as the same number. */
export const isExact = (text: string): boolean => {
  const value = Number(text)
  if (!Number.isFinite(value)) return false
  // fractions are seldom exact in binary: what counts is that they are written the same again
  return normalized(String(value)) === normalized(text)
}

/** Whether a number that was read may have been written with other digits: a whole one beyond 2^53. */
export const mayBeRounded = (value: unknown): boolean =>
  Number.isInteger(value) && !Number.isSafeInteger(value)

/** The first number in a text of JSON that would not arrive as it is written. */
export const inexactNumber = (json: string): string | undefined => {
  let index = 0
  while (index < json.length) {
    const character = json[index] ?? ""
    if (character === '"') {
      index = endOfString(json, index)
      continue
    }
    const number = /[-\d]/.test(character) ? numberAtStart.exec(json.slice(index)) : null
    if (number !== null && !isExact(number[0])) return number[0]
    index += number === null ? 1 : number[0].length
  }
  return undefined
}

const endOfString = (json: string, start: number) => {
  let index = start + 1
  while (index < json.length && json[index] !== '"') index += json[index] === "\\" ? 2 : 1
  return index + 1
}
