/** Texts in which no character is cut in two. */

/** A lone surrogate is half of what UTF-16 makes two units of. */
export const isWellFormed = (text: string): boolean => text.isWellFormed()

/** @param what it is, with the text; as JSON, for as it is it would not be shown */
export const explainHalf = (what: string): string =>
  `${what} has half of a character in it, as slice() leaves of an emoji, and would not come back from the store as it was`

/** Why a name cannot be one; `undefined` where it can. */
export const notWellFormed = (what: string, name: string): string | undefined =>
  isWellFormed(name) ? undefined : explainHalf(`the ${what} ${JSON.stringify(name)}`)
