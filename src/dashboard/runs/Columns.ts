/** What the list of runs tells of each; `run` and `status` always. */

export type Column =
  | "workflow"
  | "created"
  | "started"
  | "over"
  | "took"
  | "error"
  | "payload"
  | "labels"

export const columns: ReadonlyArray<{ readonly name: Column; readonly label: string }> = [
  { name: "workflow", label: "Workflow" },
  { name: "created", label: "Created" },
  { name: "started", label: "Started" },
  { name: "over", label: "Over" },
  { name: "took", label: "Took" },
  { name: "labels", label: "Tags and attributes" },
  { name: "payload", label: "Payload" },
  { name: "error", label: "Error" }
]

const byDefault: ReadonlyArray<Column> = ["workflow", "created", "took", "error"]

/** As the address says it; the usual ones where it says nothing. */
export const chosen = (query: URLSearchParams): ReadonlyArray<Column> => {
  const text = query.get("columns")
  if (text === null) return byDefault
  const names = text.split(",")
  return columns.map(({ name }) => name).filter((name) => names.includes(name))
}
