/** The runs of a list, of which only those are made that are seen. */
import { useEffect, useRef } from "preact/hooks"
import * as Attributes from "../../api/Attributes.js"
import type { RunView } from "../../api/RunView.js"
import { now } from "../Hooks.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { useSeen } from "../parts/Window.js"
import { duration, millisOf, shortId } from "../parts/Words.js"
import { to } from "../Router.js"
import { type Column, columns } from "./Columns.js"
import type { LiveRuns } from "./LiveRuns.js"

/** In rem, as the style sheet has it. */
const rowHeight = 2.25

interface Props {
  readonly runs: LiveRuns
  readonly shown: ReadonlyArray<Column>
  readonly selected: ReadonlySet<string>
  readonly isSelectable: boolean
  readonly onSelect: (runs: ReadonlyArray<string>, isSelected: boolean) => void
}

export const RunsTable = ({ isSelectable, onSelect, runs, selected, shown }: Props) => {
  const scroller = useRef<HTMLElement>(null)
  const seen = useSeen(scroller, runs.runs.length, rowHeight)
  const isNearEnd = seen.end >= runs.runs.length - 20
  // once for each page
  useEffect(() => {
    if (isNearEnd && runs.isRead && scroller.current !== null && scroller.current.scrollTop > 0) {
      runs.more()
    }
  }, [isNearEnd, runs.runs.length])
  const all = runs.runs.map(({ runId }) => runId)
  const areAll = all.length > 0 && all.every((runId) => selected.has(runId))
  const onKeyDown = useKeys(scroller, (runId) => onSelect([runId], !selected.has(runId)))
  return (
    <Scroller class="scroll runs-scroll" label="Runs" scroller={scroller} onKeyDown={onKeyDown}>
      <table class="runs" aria-rowcount={runs.cursor === null ? runs.runs.length + 1 : -1}>
        <thead>
          <tr aria-rowindex={1}>
            {isSelectable ? (
              <th scope="col" class="select">
                <input
                  type="checkbox"
                  aria-label="Select all that are listed"
                  checked={areAll}
                  disabled={all.length === 0}
                  onChange={(event) => onSelect(all, event.currentTarget.checked)}
                />
              </th>
            ) : null}
            <th scope="col">Status</th>
            <th scope="col">Run</th>
            {columns
              .filter(({ name }) => shown.includes(name))
              .map(({ label, name }) => (
                <th scope="col" key={name} class={`is-${name}`}>
                  {label}
                </th>
              ))}
          </tr>
        </thead>
        <Space height={seen.above} />
        <tbody>
          {runs.runs.slice(seen.first, seen.end).map((run, index) => (
            <RunRow
              key={run.runId}
              run={run}
              index={seen.first + index}
              shown={shown}
              isSelectable={isSelectable}
              isSelected={selected.has(run.runId)}
              onSelect={onSelect}
            />
          ))}
        </tbody>
        <Space height={seen.below} />
      </table>
    </Scroller>
  )
}

const Space = ({ height }: { readonly height: number }) =>
  height === 0 ? null : (
    <tbody aria-hidden="true">
      <tr style={{ height: `${height}px` }} />
    </tbody>
  )

/** Arrows, or j and k, go from run to run; x selects. */
const useKeys = (
  scroller: { readonly current: HTMLElement | null },
  select: (runId: string) => void
) => {
  const focus = (index: number) =>
    scroller.current?.querySelector<HTMLElement>(`a[data-row="${index}"]`)?.focus()
  const steps: Readonly<Record<string, number>> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }
  return (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const row = event.target instanceof HTMLElement ? event.target.dataset : {}
    const step = steps[event.key]
    if (step !== undefined) {
      event.preventDefault()
      const first = scroller.current?.querySelector<HTMLElement>("a[data-row]")?.dataset.row
      focus(row.row === undefined ? Number(first ?? 0) : Number(row.row) + step)
    } else if (event.key === "x" && row.run !== undefined) {
      select(row.run)
    }
  }
}

const RunRow = ({
  index,
  isSelectable,
  isSelected,
  onSelect,
  run,
  shown
}: Pick<Props, "shown" | "isSelectable" | "onSelect"> & {
  readonly run: RunView
  readonly index: number
  readonly isSelected: boolean
}) => (
  <tr aria-rowindex={index + 2} class={isSelected ? "is-selected" : ""}>
    {isSelectable ? (
      <td class="select">
        <input
          type="checkbox"
          aria-label={`Select ${run.workflow} ${shortId(run.runId)}`}
          checked={isSelected}
          onChange={(event) => onSelect([run.runId], event.currentTarget.checked)}
        />
      </td>
    ) : null}
    <td>
      <Status status={run.status} />
    </td>
    <td>
      <a
        class="text"
        href={to(["runs", run.runId])}
        title={run.runId}
        data-row={index}
        data-run={run.runId}
      >
        {shortId(run.runId)}
      </a>
    </td>
    {columns
      .filter(({ name }) => shown.includes(name))
      .map(({ name }) => (
        <td key={name} class={`is-${name}`}>
          <Cell run={run} column={name} />
        </td>
      ))}
  </tr>
)

/** What a cell has room for. */
const longest = 200

const Text = ({ text }: { readonly text: string }) => (
  <span class="text one-line" title={text.slice(0, 2_000)}>
    {text.slice(0, longest)}
  </span>
)

const labelsOf = ({ attributes = {}, tags = [] }: RunView) =>
  [...tags, ...Object.entries(attributes).map(Attributes.text)].join(", ")

const Cell = ({ column, run }: { readonly run: RunView; readonly column: Column }) => {
  switch (column) {
    case "workflow":
      return <Text text={run.workflow} />
    case "created":
      return <When at={run.createdAt} />
    case "started":
      return run.startedAt === undefined ? null : <When at={run.startedAt} />
    case "over":
      return run.completedAt === undefined ? null : <When at={run.completedAt} />
    case "took":
      return <Took run={run} />
    case "error":
      return run.error === undefined ? null : <Text text={run.error.message} />
    case "labels":
      return <Text text={labelsOf(run)} />
    case "payload":
      return run.hidden === true ? (
        <span class="muted">hidden</span>
      ) : run.payload === undefined ? null : (
        <Text text={JSON.stringify(run.payload)} />
      )
  }
}

const Took = ({ run }: { readonly run: RunView }) => (
  <>
    {duration(
      (run.completedAt === undefined ? now.value : millisOf(run.completedAt)) -
        millisOf(run.createdAt)
    )}
  </>
)
