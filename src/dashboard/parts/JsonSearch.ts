/** Where in a value of JSON a text is: in the names of fields, and in texts, numbers and the like. */

export interface Found {
  /** Whether something is searched for. */
  readonly active: boolean
  readonly count: number
  /** Paths of what has it. */
  readonly hits: ReadonlySet<string>
  /** Paths of what has such things in it. */
  readonly within: ReadonlySet<string>
}

const nothing: Found = { active: false, count: 0, hits: new Set(), within: new Set() }

/** More are counted, but neither shown nor opened. */
const mostShown = 1_000

/** Paths are keys, each after a `/`. */
export const matches = (value: unknown, search: string): Found => {
  const wanted = search.trim().toLowerCase()
  if (wanted === "") return nothing
  const hits = new Set<string>()
  const within = new Set<string>()
  let count = 0
  const hit = (path: string, above: ReadonlyArray<string>) => {
    count += 1
    if (hits.size >= mostShown) return
    hits.add(path)
    for (const parent of above) within.add(parent)
  }
  const visit = (value: unknown, key: string, path: string, above: ReadonlyArray<string>) => {
    const isNested = typeof value === "object" && value !== null
    if (
      key.toLowerCase().includes(wanted) ||
      (!isNested && String(value).toLowerCase().includes(wanted))
    ) {
      hit(path, above)
    }
    if (!isNested) return
    for (const [name, child] of Object.entries(value)) {
      visit(child, name, `${path}/${name}`, [...above, path])
    }
  }
  visit(value, "", "", [])
  return { active: true, count, hits, within }
}
