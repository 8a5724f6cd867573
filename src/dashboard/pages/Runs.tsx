/** The runs, newest first, as they are now; and what can be done with many of them. */
import { useEffect, useMemo, useState } from "preact/hooks"
import { useAsked, useEvents, useThrottled, useTitle } from "../Hooks.js"
import { Problem } from "../parts/Problem.js"
import { count, counted } from "../parts/Words.js"
import { go, place, to } from "../Router.js"
import { type Action, actions, labels } from "../run/Actions.js"
import { BulkDialog, type Selection } from "../runs/Bulk.js"
import { type Column, chosen } from "../runs/Columns.js"
import { FilterBar } from "../runs/FilterBar.js"
import { type Filters, read, requestOf, write } from "../runs/Filters.js"
import { type LiveRuns, useRuns } from "../runs/LiveRuns.js"
import { RunsTable } from "../runs/Table.js"
import { calmly } from "../server/Live.js"
import { counts } from "../server/Server.js"
import { rights } from "../server/Session.js"

export const Runs = () => {
  const { query } = place.value
  const filters = read(query)
  const shown = chosen(query)
  const request = {
    ...requestOf(filters),
    ...(shown.includes("payload") ? { include: ["payload" as const] } : {})
  }
  const key = JSON.stringify(request)
  const runs = useRuns(key, request)
  const counted = useAsked("counts", () => counts)
  const countAgain = useThrottled(calmly(counted.again), 2_000)
  useEvents((event) => event.type === "run" && countAgain())
  useTitle("Runs")
  const show = (filters: Filters, columns: ReadonlyArray<Column>) =>
    go(
      to(["runs"], {
        ...write(filters),
        ...(columns === shown && !query.has("columns") ? {} : { columns })
      })
    )
  return (
    <>
      <h1>Runs</h1>
      <FilterBar
        filters={filters}
        counts={counted.value}
        shown={shown}
        onFilters={(filters) => show(filters, shown)}
        onColumns={(columns) => show(filters, columns)}
      />
      {runs.problem === undefined ? null : <Problem problem={runs.problem} again={runs.again} />}
      <Listed key={key} runs={runs} shown={shown} filters={filters} />
    </>
  )
}

const Listed = ({
  filters,
  runs,
  shown
}: {
  readonly runs: LiveRuns
  readonly shown: ReadonlyArray<Column>
  readonly filters: Filters
}) => {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [areAll, setAll] = useState(false)
  const [action, setAction] = useState<Action | undefined>(undefined)
  const select = (runIds: ReadonlyArray<string>, isSelected: boolean) => {
    setAll(false)
    setSelected((before) => {
      const after = new Set(before)
      for (const runId of runIds) {
        if (isSelected) after.add(runId)
        else after.delete(runId)
      }
      return after
    })
  }
  const clear = () => {
    setAll(false)
    setSelected(new Set())
  }
  const selection = useMemo(
    (): Selection =>
      areAll
        ? { kind: "all", request: requestOf(filters) }
        : { kind: "some", runs: runs.runs.filter(({ runId }) => selected.has(runId)) },
    [areAll, filters, runs.runs, selected]
  )
  useEscape(clear, action === undefined && selected.size > 0)
  return (
    <>
      <div class="bulk" role="status">
        {selected.size === 0 ? (
          <span class="muted">
            {runs.isRead
              ? `${counted(runs.runs.length, "run")} listed${runs.cursor === null ? "" : ", and more"}`
              : "Reading"}
          </span>
        ) : (
          <Chosen
            count={areAll ? undefined : selected.size}
            onAll={() => setAll(true)}
            onClear={clear}
            onAction={setAction}
          />
        )}
      </div>
      <RunsTable
        runs={runs}
        shown={shown}
        selected={selected}
        isSelectable={rights.value.write}
        onSelect={select}
      />
      <p class="buttons">
        {runs.cursor === null ? null : (
          <button type="button" disabled={runs.isReading} onClick={runs.more}>
            Show more
          </button>
        )}
        <span class="muted">
          Keys: <kbd>↓</kbd> <kbd>↑</kbd> from run to run, <kbd>Enter</kbd> opens, <kbd>x</kbd>{" "}
          selects, <kbd>Esc</kbd> selects none
        </span>
      </p>
      {action === undefined ? null : (
        <BulkDialog
          action={action}
          selection={selection}
          onClose={(isDone) => {
            setAction(undefined)
            if (isDone) {
              clear()
              runs.again()
            }
          }}
        />
      )}
    </>
  )
}

const useEscape = (action: () => void, isActive: boolean) => {
  useEffect(() => {
    if (!isActive) return undefined
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape") action()
    }
    addEventListener("keydown", onKeyDown)
    return () => removeEventListener("keydown", onKeyDown)
  })
}

const Chosen = ({
  count: some,
  onAction,
  onAll,
  onClear
}: {
  /** `undefined`: all that match. */
  readonly count: number | undefined
  readonly onAll: () => void
  readonly onClear: () => void
  readonly onAction: (action: Action) => void
}) => (
  <>
    <strong>{some === undefined ? "All that match" : `${count(some)} selected`}</strong>
    {some === undefined ? null : (
      <button type="button" class="quiet" onClick={onAll}>
        Select all that match
      </button>
    )}
    <button type="button" class="quiet" onClick={onClear}>
      Select none
    </button>
    <span class="buttons">
      {actions.map((action) => (
        <button key={action} type="button" onClick={() => onAction(action)}>
          {labels[action]}
        </button>
      ))}
    </span>
  </>
)
