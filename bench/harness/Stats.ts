const sorted = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)

/** The nearest value at or above the given share of all of them; NaN of none. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const ordered = sorted(values)
  const index = Math.ceil(share * ordered.length) - 1
  return ordered[Math.min(Math.max(index, 0), ordered.length - 1)] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => {
  const ordered = sorted(values)
  const middle = ordered.length >> 1
  const upper = ordered[middle] ?? Number.NaN
  return ordered.length % 2 === 1 ? upper : ((ordered[middle - 1] ?? Number.NaN) + upper) / 2
}

export const largest = (values: ReadonlyArray<number>): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)

export const smallest = (values: ReadonlyArray<number>): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)

/** Of two that were measured in turn: the median of the rounds' own ratios. */
export const ratio = (values: ReadonlyArray<number>, to: ReadonlyArray<number>): number =>
  median(values.flatMap((value, round) => (to[round] === undefined ? [] : [value / to[round]])))
