/** Which runs are listed, as the address says it. */

import * as Attributes from "../../api/Attributes.js"
import type { ListRequest } from "../../api/Requests.js"
import { type RunStatus, runStatuses } from "../../api/Status.js"
import type { Query } from "../Query.js"

export interface Filters {
  readonly workflow: string | undefined
  readonly key: string | undefined
  readonly status: ReadonlyArray<RunStatus>
  /** ISO 8601, or what was typed and is no time. */
  readonly after: string | undefined
  readonly before: string | undefined
  readonly parent: string | undefined
  readonly roots: boolean
  readonly mend: boolean
  readonly tags: ReadonlyArray<string>
  /** As `name=value`; see `Attributes`. */
  readonly attributes: ReadonlyArray<string>
}

const isStatus = (text: string): text is RunStatus => runStatuses.some((status) => status === text)

const textOf = (query: URLSearchParams, name: string) => {
  const text = query.get(name)
  return text === null || text === "" ? undefined : text
}

/** In an address there are commas between them. */
const escaped = (text: string) => text.replaceAll("%", "%25").replaceAll(",", "%2C")

const listOf = (query: URLSearchParams, name: string): ReadonlyArray<string> =>
  (query.get(name) ?? "")
    .split(",")
    .filter((text) => text !== "")
    .map((text) => text.replaceAll("%2C", ",").replaceAll("%25", "%"))

export const read = (query: URLSearchParams): Filters => ({
  workflow: textOf(query, "workflow"),
  key: textOf(query, "key"),
  status: (query.get("status") ?? "").split(",").filter(isStatus),
  after: textOf(query, "after"),
  before: textOf(query, "before"),
  parent: textOf(query, "parent"),
  roots: query.get("roots") === "true",
  mend: query.get("mend") === "true",
  tags: listOf(query, "tags"),
  attributes: listOf(query, "attributes")
})

export const write = (filters: Filters): Query => ({
  ...filters,
  roots: filters.roots ? "true" : undefined,
  mend: filters.mend ? "true" : undefined,
  tags: filters.tags.map(escaped),
  attributes: filters.attributes.map(escaped)
})

const timeOf = (text: string | undefined) => {
  const time = new Date(text ?? Number.NaN)
  return Number.isNaN(time.getTime()) ? undefined : time
}

export const requestOf = (filters: Filters): ListRequest => ({
  workflow: filters.workflow,
  // a key is one of a workflow
  key: filters.workflow === undefined ? undefined : filters.key,
  status: filters.status.length === 0 ? undefined : filters.status,
  createdAfter: timeOf(filters.after),
  createdBefore: timeOf(filters.before),
  parent: filters.parent,
  roots: filters.roots ? true : undefined,
  mend: filters.mend ? true : undefined,
  tags: filters.tags.length === 0 ? undefined : filters.tags,
  attributes:
    filters.attributes.length === 0
      ? undefined
      : Object.fromEntries(filters.attributes.map(Attributes.parse))
})

/** As an input for a local time has it; `YYYY-MM-DDTHH:mm:ss`. */
export const localOf = (text: string | undefined): string => {
  const time = timeOf(text)
  if (time === undefined) return ""
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

export const isoOf = (local: string): string | undefined => timeOf(local)?.toISOString()
