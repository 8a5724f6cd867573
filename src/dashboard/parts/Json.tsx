/** A value of JSON as a tree: folded where it is big, searched and copied. */
import { useMemo, useState } from "preact/hooks"
import { mayBeRounded } from "../schema/ExactNumbers.js"
import { Copy } from "./Copy.js"
import { type Found, matches } from "./JsonSearch.js"
import { Scroller } from "./Scroller.js"
import { counted } from "./Words.js"

/** So many entries of an array or an object are shown at once. */
const shownAtOnce = 100

/** Longer texts are folded. */
const longText = 400

/** What is smaller is not worth a search. */
const searchable = 400

const isNested = (value: unknown): value is object => typeof value === "object" && value !== null

const entriesOf = (value: object): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(value)

const summaryOf = (value: object) =>
  Array.isArray(value)
    ? `[ ${counted(value.length, "item")} ]`
    : `{ ${counted(Object.keys(value).length, "field")} }`

export const Json = ({ name, value }: { readonly name: string; readonly value: unknown }) => {
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value])
  const [search, setSearch] = useState("")
  const found = useMemo(() => matches(value, search), [value, search])
  return (
    <div class="json">
      <div class="json-tools">
        {text.length < searchable ? null : (
          <label>
            <span class="sr-only">Search {name}</span>
            <input
              type="search"
              placeholder="Search"
              value={search}
              onInput={(event) => setSearch(event.currentTarget.value)}
            />
          </label>
        )}
        {search === "" ? null : (
          <span class="muted" role="status">
            {counted(found.count, "match", "matches")}
          </span>
        )}
        <Copy text={text} what={name} />
      </div>
      <Scroller class="json-tree" label={name}>
        <Node value={value} label={undefined} depth={0} path="" found={found} />
      </Scroller>
    </div>
  )
}

interface NodeProps {
  readonly value: unknown
  readonly label: string | undefined
  readonly depth: number
  readonly path: string
  readonly found: Found
}

const Label = ({ found, label, path }: Pick<NodeProps, "label" | "path" | "found">) =>
  label === undefined ? null : (
    <span class={found.hits.has(path) ? "json-key is-found" : "json-key"}>{label}: </span>
  )

const Node = (props: NodeProps) =>
  isNested(props.value) && entriesOf(props.value).length > 0 ? (
    <Nested {...props} value={props.value} />
  ) : (
    <div class="json-leaf">
      <Label {...props} />
      <Leaf value={props.value} isFound={props.found.hits.has(props.path)} />
    </div>
  )

const Nested = ({ depth, found, label, path, value }: NodeProps & { readonly value: object }) => {
  const entries = useMemo(() => entriesOf(value), [value])
  const isSmall = depth < 2 && entries.length <= shownAtOnce
  const [isOpened, setOpened] = useState(isSmall)
  const [shown, setShown] = useState(shownAtOnce)
  const isOpen = isOpened || found.within.has(path)
  const visible = found.active
    ? entries.filter(([key]) => {
        const child = `${path}/${key}`
        return found.hits.has(path) || found.hits.has(child) || found.within.has(child)
      })
    : entries
  return (
    <details open={isOpen} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        <Label label={label} path={path} found={found} />
        <span class="muted">{summaryOf(value)}</span>
      </summary>
      {isOpen ? (
        <div class="json-children">
          {visible.slice(0, shown).map(([key, child]) => (
            <Node
              key={key}
              value={child}
              label={key}
              depth={depth + 1}
              path={`${path}/${key}`}
              found={found}
            />
          ))}
          {visible.length > shown ? (
            <button type="button" class="quiet" onClick={() => setShown(shown + shownAtOnce)}>
              {counted(visible.length - shown, "more entry", "more entries")}: show the next
            </button>
          ) : null}
        </div>
      ) : null}
    </details>
  )
}

const Leaf = ({ isFound, value }: { readonly value: unknown; readonly isFound: boolean }) => {
  const [isWhole, setWhole] = useState(false)
  if (typeof value === "string") {
    const shown = isWhole || value.length <= longText ? value : `${value.slice(0, longText)}…`
    return (
      <>
        <span class={isFound ? "json-string is-found" : "json-string"}>{`"${shown}"`}</span>
        {value.length > longText ? (
          <button type="button" class="quiet" onClick={() => setWhole(!isWhole)}>
            {isWhole ? "Fold" : `All ${counted(value.length, "character")}`}
          </button>
        ) : null}
      </>
    )
  }
  const text = isNested(value) ? (Array.isArray(value) ? "[]" : "{}") : String(value)
  return (
    <>
      <span class={`json-${typeof value}${isFound ? " is-found" : ""}`}>{text}</span>
      {mayBeRounded(value) ? <span class="json-note">{beyond}</span> : null}
    </>
  )
}

/** It is what is recorded, digit by digit; nobody knows any more what was sent. */
const beyond = "beyond 2^53, perhaps rounded"
