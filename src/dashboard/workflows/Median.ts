/** The one in the middle, or the lower of the two; `undefined` where there is none. */
export const median = (values: ReadonlyArray<number>): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]
