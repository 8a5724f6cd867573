/** Rows of the same height of which only those are made that are seen: of ten thousand some thirty. */
import { useEffect, useState } from "preact/hooks"

/** So many more are there above and below, for who scrolls. */
const overscan = 12

export interface Seen {
  readonly first: number
  /** Not seen any more. */
  readonly end: number
  /** Pixels. */
  readonly above: number
  readonly below: number
}

/**
 * @param scroller what scrolls
 * @param rowHeight of a row, in rem, as the style sheet has it
 */
export const useSeen = (
  scroller: { readonly current: HTMLElement | null },
  total: number,
  rowHeight: number
): Seen & { readonly height: number } => {
  const [range, setRange] = useState({ first: 0, end: 50, height: 40 })
  useEffect(() => {
    const element = scroller.current
    if (element === null) return undefined
    const look = () => {
      const height =
        rowHeight * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
      const first = Math.max(0, Math.floor(element.scrollTop / height) - overscan)
      const end = Math.ceil((element.scrollTop + element.clientHeight) / height) + overscan
      setRange((before) =>
        before.first === first && before.end === end && before.height === height
          ? before
          : { first, end, height }
      )
    }
    look()
    const observer = new ResizeObserver(look)
    observer.observe(element)
    element.addEventListener("scroll", look, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener("scroll", look)
    }
  }, [scroller, rowHeight])
  const end = Math.min(total, range.end)
  const first = Math.min(range.first, end)
  return {
    first,
    end,
    height: range.height,
    above: first * range.height,
    below: (total - end) * range.height
  }
}

/** Scrolls so far that the row is seen. */
export const reveal = (
  scroller: HTMLElement | null,
  index: number,
  { header, height }: { readonly height: number; readonly header: number }
): void => {
  if (scroller === null) return
  const top = index * height
  const seen = scroller.clientHeight - header
  if (top < scroller.scrollTop) scroller.scrollTop = top
  else if (top + height > scroller.scrollTop + seen) scroller.scrollTop = top + height - seen
}
