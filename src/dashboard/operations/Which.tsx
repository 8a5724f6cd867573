/** Which runs an operation is for, and the way to those that are so now. */

import * as Attributes from "../../api/Attributes.js"
import type { BulkFilterView } from "../../api/Bulk.js"
import { to } from "../Router.js"
import { write } from "../runs/Filters.js"
import { words } from "./Words.js"

export const Which = ({ filter }: { readonly filter: BulkFilterView }) => {
  const { attributes = {}, createdAfter, createdBefore, mend, parent, roots, runId } = filter
  const address =
    runId === undefined
      ? to(
          ["runs"],
          write({
            workflow: filter.workflow,
            key: undefined,
            status: filter.status ?? [],
            after: createdAfter,
            before: createdBefore,
            parent,
            roots: roots === true,
            mend: mend === true,
            tags: filter.tags ?? [],
            attributes: Object.entries(attributes).map(Attributes.text)
          })
        )
      : to(["runs", runId])
  return (
    <a class="text" href={address}>
      {words(filter)}
    </a>
  )
}
