/** A run as it went, and goes: a row for each step, wait and child, over one ruler of time. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { now } from "../Hooks.js"
import { Scroller } from "../parts/Scroller.js"
import { useSeen } from "../parts/Window.js"
import { clock, counted, duration, exact } from "../parts/Words.js"
import { attemptsOf, type Bar, isMoment, type Row } from "./Rows.js"
import { make, type Scale, type Span } from "./Scale.js"

/** In rem, as the style sheet has it. */
const rowHeight = 2

const closest = 1
const farthest = 64

interface Props {
  readonly rows: ReadonlyArray<Row>
  readonly createdAt: number
  /** `undefined`: it is not over. */
  readonly completedAt: number | undefined
  readonly selected: string | undefined
  readonly onSelect: (row: Row) => void
}

/** When steps and children were under way; waits alone are idle time, and a moment is in no fold of it. */
const activeOf = (rows: ReadonlyArray<Row>, end: number): ReadonlyArray<Span> =>
  rows.flatMap((row) =>
    row.bars
      .filter((bar) => bar.status !== "waiting")
      .map((bar) => ({ from: bar.from, until: bar.until ?? end }))
  )

const endOf = ({ completedAt, createdAt, rows }: Props, time: number) => {
  const isOpen = completedAt === undefined
  const last = rows.reduce(
    (latest, row) => row.bars.reduce((end, bar) => Math.max(end, bar.until ?? bar.from), latest),
    createdAt + 1
  )
  return Math.max(last, completedAt ?? 0, isOpen ? time : 0)
}

export const Timeline = (props: Props) => {
  const { completedAt, createdAt, onSelect, rows, selected } = props
  const [zoom, setZoom] = useState(closest)
  const [isFolding, setFolding] = useState(true)
  const scroller = useRef<HTMLElement>(null)
  // the ruler of one that is over stands still
  const end = endOf(props, completedAt === undefined ? now.value : 0)
  const scale = useMemo(
    () => make({ from: createdAt, until: end }, activeOf(rows, end), { isFolding }),
    [rows, createdAt, end, isFolding]
  )
  const seen = useSeen(scroller, rows.length, rowHeight)
  const focus = useRowFocus(scroller, rows.length)
  return (
    <div class="timeline">
      <div class="timeline-tools">
        <button
          type="button"
          aria-label="Zoom out"
          disabled={zoom === closest}
          onClick={() => setZoom(Math.max(closest, zoom / 2))}
        >
          −
        </button>
        <output aria-label="Zoom">{zoom}×</output>
        <button
          type="button"
          aria-label="Zoom in"
          disabled={zoom === farthest}
          onClick={() => setZoom(Math.min(farthest, zoom * 2))}
        >
          +
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={isFolding}
            onChange={(event) => setFolding(event.currentTarget.checked)}
          />
          Fold idle time
        </label>
        <span class="muted">{counted(rows.length, "row")}</span>
      </div>
      <Scroller class="timeline-scroll" label="Timeline rows" scroller={scroller}>
        <div class="timeline-sheet" style={{ "--zoom": String(zoom) }}>
          <Ruler scale={scale} createdAt={createdAt} zoom={zoom} />
          <ul
            style={{ paddingTop: `${seen.above}px`, paddingBottom: `${seen.below}px` }}
            onKeyDown={focus.onKeyDown}
          >
            {rows.slice(seen.first, seen.end).map((row, index) => (
              <TimelineRow
                key={row.key}
                row={row}
                index={seen.first + index}
                total={rows.length}
                scale={scale}
                end={end}
                isSelected={row.key === selected}
                onSelect={onSelect}
              />
            ))}
          </ul>
        </div>
      </Scroller>
    </div>
  )
}

/** Up and down go from row to row, also to those that are not made yet. */
const useRowFocus = (scroller: { current: HTMLElement | null }, total: number) => {
  const wanted = useRef<number | undefined>(undefined)
  useEffect(() => {
    if (wanted.current === undefined) return
    const row = scroller.current?.querySelector<HTMLElement>(`[data-row="${wanted.current}"]`)
    if (row === null || row === undefined) return
    wanted.current = undefined
    row.focus()
  })
  return {
    onKeyDown: (event: KeyboardEvent) => {
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0
      const from = event.target instanceof HTMLElement ? event.target.dataset.row : undefined
      if (step === 0 || from === undefined) return
      event.preventDefault()
      const next = Math.min(total - 1, Math.max(0, Number(from) + step))
      const row = scroller.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)
      if (row === null || row === undefined) wanted.current = next
      else row.focus()
    }
  }
}

const Ruler = ({
  createdAt,
  scale,
  zoom
}: {
  readonly scale: Scale
  readonly createdAt: number
  readonly zoom: number
}) => (
  <div class="timeline-row timeline-ruler" aria-hidden="true">
    <span class="timeline-label muted">since its start</span>
    <div class="timeline-track">
      {scale.ticks(5 * zoom + 1).map((time) => (
        <span
          key={time}
          class={scale.at(time) > 0.97 ? "tick is-last" : "tick"}
          style={{ left: percent(scale.at(time)) }}
        >
          {duration(time - createdAt)}
        </span>
      ))}
      {scale.folds.map((fold) => (
        <span
          key={fold.from}
          class="fold"
          title={`${duration(fold.until - fold.from)} idle`}
          style={{ left: percent(fold.left), width: percent(fold.right - fold.left) }}
        />
      ))}
    </div>
  </div>
)

const percent = (part: number) => `${part * 100}%`

const spoken = (row: Row, time: number): string => {
  const { bars, due, kind } = row
  const last = bars.at(-1)
  if (last === undefined) return kind
  if (isMoment(last)) return `${last.status} at ${clock(last.from, time)}`
  const lasted = duration((last.until ?? time) - last.from)
  const tried = attemptsOf(row)
  const attempts = tried > 1 ? `${tried} attempts, ` : ""
  const until = due === undefined ? "" : `, due at ${clock(due, time)}`
  return `${attempts}${last.status}, ${lasted}${until}`
}

const titleOf = (bar: Bar, end: number) => {
  const { attempt, from, status, until } = bar
  if (isMoment(bar)) return `${status} at ${exact(from)}`
  return [
    attempt === undefined ? status : `attempt ${attempt}: ${status}`,
    `from ${exact(from)}`,
    `for ${duration((until ?? end) - from)}`
  ].join("\n")
}

const TimelineRow = ({
  end,
  index,
  isSelected,
  onSelect,
  row,
  scale,
  total
}: {
  readonly row: Row
  readonly index: number
  readonly total: number
  readonly scale: Scale
  readonly end: number
  readonly isSelected: boolean
  readonly onSelect: (row: Row) => void
}) => (
  <li class={`timeline-row of-${row.kind}`} aria-setsize={total} aria-posinset={index + 1}>
    <button
      type="button"
      class="timeline-label"
      data-row={index}
      aria-pressed={isSelected}
      title={row.label}
      onClick={() => onSelect(row)}
    >
      {row.kind === "step" ? null : <span class="muted">{row.kind}</span>}
      <span class="text">{row.label}</span>
      {attemptsOf(row) > 1 ? <span class="attempts">×{attemptsOf(row)}</span> : null}
      <span class="sr-only">{spoken(row, end)}</span>
    </button>
    <div class="timeline-track">
      {row.bars.map((bar) => {
        const left = scale.at(bar.from)
        const right = scale.at(bar.until ?? end)
        return (
          <span
            key={`${bar.attempt}/${bar.from}`}
            class={`${isMoment(bar) ? "moment" : "bar"} is-${bar.status}${bar.until === undefined ? " is-open" : ""}`}
            title={titleOf(bar, end)}
            style={{ left: percent(left), width: percent(Math.max(0, right - left)) }}
          />
        )
      })}
    </div>
  </li>
)
