/** What is listed: chosen here, and kept in the address. */
import { useState } from "preact/hooks"
import type { RunCounts } from "../../api/RunView.js"
import { type RunStatus, runStatuses } from "../../api/Status.js"
import { useAsked } from "../Hooks.js"
import { say } from "../parts/Notices.js"
import { Status } from "../parts/Status.js"
import { count, counted } from "../parts/Words.js"
import { go, to } from "../Router.js"
import { ask, ids, workflows } from "../server/Server.js"
import { type Column, columns } from "./Columns.js"
import { type Filters, isoOf, localOf } from "./Filters.js"

interface Props {
  readonly filters: Filters
  readonly counts: RunCounts | undefined
  readonly shown: ReadonlyArray<Column>
  readonly onFilters: (filters: Filters) => void
  readonly onColumns: (columns: ReadonlyArray<Column>) => void
}

export const FilterBar = (props: Props) => (
  <div class="filters">
    <Statuses {...props} />
    <div class="filter-row">
      <Workflow {...props} />
      <Times {...props} />
      <Flag {...props} name="roots" label="Without children" />
      <Flag {...props} name="mend" label="To be mended" />
      <Columns {...props} />
      <AddLabel {...props} name="tags" label="Tag" placeholder="eu" />
      <AddLabel {...props} name="attributes" label="Attribute" placeholder="customer=7" />
      <Jump />
    </div>
    <Labels {...props} />
    {props.filters.parent === undefined ? null : (
      <p>
        Children of{" "}
        <a class="text" href={to(["runs", props.filters.parent])}>
          {props.filters.parent}
        </a>{" "}
        <button
          type="button"
          class="quiet"
          onClick={() => props.onFilters({ ...props.filters, parent: undefined })}
        >
          All runs
        </button>
      </p>
    )}
  </div>
)

const Statuses = ({ counts, filters, onFilters }: Props) => {
  const toggle = (status: RunStatus) =>
    onFilters({
      ...filters,
      status: filters.status.includes(status)
        ? filters.status.filter((one) => one !== status)
        : [...filters.status, status]
    })
  return (
    <fieldset class="statuses">
      <legend class="sr-only">Status</legend>
      {runStatuses.map((status) => (
        <label key={status} class="chip">
          <input
            type="checkbox"
            checked={filters.status.includes(status)}
            onChange={() => toggle(status)}
          />
          <Status status={status} />
          <span class="muted">{counts === undefined ? "" : count(counts[status])}</span>
        </label>
      ))}
    </fieldset>
  )
}

const Workflow = ({ filters, onFilters }: Props) => {
  const { value = [] } = useAsked("workflows", () => workflows)
  const names = Array.from(
    new Set([
      ...value.map(({ name }) => name),
      ...(filters.workflow === undefined ? [] : [filters.workflow])
    ])
  )
  return (
    <>
      <div class="field">
        <label for="filter-workflow">Workflow</label>
        <select
          id="filter-workflow"
          value={filters.workflow ?? ""}
          onChange={(event) =>
            onFilters({ ...filters, workflow: event.currentTarget.value || undefined })
          }
        >
          <option value="">All</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      {filters.workflow === undefined ? null : (
        <div class="field">
          <label for="filter-key">Idempotency key</label>
          <input
            id="filter-key"
            value={filters.key ?? ""}
            onChange={(event) =>
              onFilters({ ...filters, key: event.currentTarget.value || undefined })
            }
          />
        </div>
      )}
    </>
  )
}

const Times = ({ filters, onFilters }: Props) =>
  (
    [
      ["after", "Created from"],
      ["before", "until"]
    ] as const
  ).map(([name, label]) => (
    <div class="field" key={name}>
      <label for={`filter-${name}`}>{label}</label>
      <input
        id={`filter-${name}`}
        type="datetime-local"
        step={1}
        value={localOf(filters[name])}
        onChange={(event) => onFilters({ ...filters, [name]: isoOf(event.currentTarget.value) })}
      />
    </div>
  ))

const Flag = ({
  filters,
  label,
  name,
  onFilters
}: Props & { readonly name: "roots" | "mend"; readonly label: string }) => (
  <label class="check">
    <input
      type="checkbox"
      checked={filters[name]}
      onChange={(event) => onFilters({ ...filters, [name]: event.currentTarget.checked })}
    />
    {label}
  </label>
)

/** One more that a run has to have. */
const AddLabel = ({
  filters,
  label,
  name,
  onFilters,
  placeholder
}: Props & {
  readonly name: "tags" | "attributes"
  readonly label: string
  readonly placeholder: string
}) => {
  const [text, setText] = useState("")
  const add = (event: Event) => {
    event.preventDefault()
    const given = text.trim()
    if (given === "" || filters[name].includes(given)) return
    setText("")
    onFilters({ ...filters, [name]: [...filters[name], given] })
  }
  return (
    <form class="field is-short" onSubmit={add}>
      <label for={`filter-${name}`}>{label}</label>
      <input
        id={`filter-${name}`}
        placeholder={placeholder}
        value={text}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </form>
  )
}

/** Those that a run has to have, each to be taken away again. */
const Labels = ({ filters, onFilters }: Props) => {
  if (filters.tags.length + filters.attributes.length === 0) return null
  const without = (name: "tags" | "attributes", text: string) =>
    onFilters({ ...filters, [name]: filters[name].filter((other) => other !== text) })
  return (
    <ul class="labels" aria-label="Tags and attributes that are asked for">
      {(["tags", "attributes"] as const).flatMap((name) =>
        filters[name].map((text) => (
          <li key={`${name} ${text}`} class="label">
            <span class="text">{text}</span>
            <button
              type="button"
              class="quiet"
              aria-label={`Do not ask for ${text}`}
              onClick={() => without(name, text)}
            >
              ✕
            </button>
          </li>
        ))
      )}
    </ul>
  )
}

const Columns = ({ onColumns, shown }: Props) => (
  <details class="menu">
    <summary>Columns</summary>
    <fieldset>
      <legend class="sr-only">Columns</legend>
      {columns.map(({ label, name }) => (
        <label class="check" key={name}>
          <input
            type="checkbox"
            checked={shown.includes(name)}
            onChange={(event) =>
              onColumns(
                event.currentTarget.checked
                  ? [...shown, name]
                  : shown.filter((other) => other !== name)
              )
            }
          />
          {label}
        </label>
      ))}
    </fieldset>
  </details>
)

/** Leads to the run of an id, or of the beginning of one. */
const Jump = () => {
  const [text, setText] = useState("")
  const jump = async (event: Event) => {
    event.preventDefault()
    const prefix = text.trim()
    if (prefix === "") return
    const answer = await ask(ids(prefix))
    if (!answer.ok) return say("problem", answer.problem.message)
    const [first, second] = answer.value.runs
    if (first === undefined) return say("problem", `No run's id begins with ${prefix}`)
    if (second !== undefined && first.runId !== prefix) {
      const found = answer.value.more ? "More than 10" : counted(answer.value.runs.length, "run")
      return say("problem", `${found} begin with ${prefix}: type more of it`)
    }
    go(to(["runs", first.runId]))
  }
  return (
    <form class="field" onSubmit={(event) => void jump(event)}>
      <label for="jump">Go to the run</label>
      <input
        id="jump"
        type="search"
        placeholder="id, or its beginning"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </form>
  )
}
