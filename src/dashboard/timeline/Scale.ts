/** Where times are on the timeline: as on a ruler from which long idle stretches were cut. */

export interface Span {
  readonly from: number
  readonly until: number
}

/** A stretch of the time, and of the timeline's width. */
interface Segment extends Span {
  readonly left: number
  readonly right: number
  /** Nothing happened in it, and it is not as wide as it lasted. */
  readonly isFolded: boolean
}

export interface Scale {
  /** From 0 to 1. */
  readonly at: (time: number) => number
  readonly folds: ReadonlyArray<Segment>
  /** Marks on the ruler, none of them in a fold. */
  readonly ticks: (count: number) => ReadonlyArray<number>
}

/** Overlapping and touching spans as one, in their order. */
export const merged = (spans: ReadonlyArray<Span>): ReadonlyArray<Span> => {
  const result: Array<Span> = []
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last === undefined || span.from > last.until) result.push(span)
    else result[result.length - 1] = { ...last, until: Math.max(last.until, span.until) }
  }
  return result
}

/** A gap is folded when it is longer than this part of everything that is not idle. */
const longPart = 0.25

/** What a fold takes of the width; all of them at most `foldsAtMost`. */
const foldWidth = 0.03
const foldsAtMost = 0.3

const pieces = (whole: Span, busy: ReadonlyArray<Span>, isFolding: boolean) => {
  const total = busy.reduce((sum, span) => sum + span.until - span.from, 0)
  const isLong = (span: Span) =>
    isFolding && total > 0 && span.until - span.from > Math.max(total * longPart, 1_000)
  const result: Array<Span & { readonly isFolded: boolean }> = []
  const add = (span: Span, isFolded: boolean) => {
    if (span.until > span.from) result.push({ ...span, isFolded })
  }
  let from = whole.from
  for (const span of busy) {
    add({ from, until: span.from }, isLong({ from, until: span.from }))
    add(span, false)
    from = Math.max(from, span.until)
  }
  add({ from, until: whole.until }, isLong({ from, until: whole.until }))
  return result
}

/**
 * @param whole from the first moment that is shown to the last
 * @param active when something was executed
 */
export const make = (
  whole: Span,
  active: ReadonlyArray<Span>,
  { isFolding }: { readonly isFolding: boolean }
): Scale => {
  const parts = pieces(whole, merged(active), isFolding)
  const folded = parts.filter((part) => part.isFolded).length
  const perFold = folded === 0 ? 0 : Math.min(foldWidth, foldsAtMost / folded)
  const time = parts.reduce((sum, part) => sum + (part.isFolded ? 0 : part.until - part.from), 0)
  let left = 0
  const segments = parts.map((part): Segment => {
    const width = part.isFolded
      ? perFold
      : ((part.until - part.from) / Math.max(time, 1)) * (1 - folded * perFold)
    const segment = { ...part, left, right: left + width }
    left += width
    return segment
  })
  const at = (moment: number) => {
    const segment = find(segments, moment)
    if (segment === undefined) return moment <= whole.from ? 0 : 1
    const part = (moment - segment.from) / (segment.until - segment.from)
    return segment.left + part * (segment.right - segment.left)
  }
  return {
    at,
    folds: segments.filter((segment) => segment.isFolded),
    ticks: (count) => ticks(segments, count)
  }
}

/** There may be a thousand of them, and a thousand bars ask. */
const find = (segments: ReadonlyArray<Segment>, moment: number): Segment | undefined => {
  let low = 0
  let high = segments.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const segment = segments[middle]
    if (segment === undefined) return undefined
    if (moment < segment.from) high = middle - 1
    else if (moment > segment.until) low = middle + 1
    else return segment
  }
  return undefined
}

const ticks = (segments: ReadonlyArray<Segment>, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, index) => index / Math.max(1, count - 1)).flatMap((place) => {
    // what was added up may end a little before 1
    const segment = segments.find((one) => place <= one.right) ?? segments.at(-1)
    if (segment === undefined || segment.isFolded || segment.right === segment.left) return []
    const part = Math.min(1, (place - segment.left) / (segment.right - segment.left))
    return [segment.from + part * (segment.until - segment.from)]
  })
