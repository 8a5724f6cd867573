/** Which runs an operation is for, in words. */

import * as Attributes from "../../api/Attributes.js"
import type { BulkFilterView } from "../../api/Bulk.js"
import { clock, millisOf, shortId } from "../parts/Words.js"

const time = (iso: string) => clock(millisOf(iso), Date.now())

/** `Order, failed, created from 14:00:00`. */
export const words = (filter: BulkFilterView): string => {
  const { attributes = {}, createdAfter, createdBefore, mend, parent, roots, runId } = filter
  const said = [
    ...(runId === undefined ? [] : [`the run ${shortId(runId)}`]),
    ...(filter.workflow === undefined ? [] : [filter.workflow]),
    ...(filter.status === undefined ? [] : [filter.status.join(" or ")]),
    ...(createdAfter === undefined ? [] : [`created from ${time(createdAfter)}`]),
    ...(createdBefore === undefined ? [] : [`created before ${time(createdBefore)}`]),
    ...(roots === true ? ["without children"] : []),
    ...(parent === undefined ? [] : [`children of ${shortId(parent)}`]),
    ...(mend === true ? ["to be mended"] : []),
    ...(filter.tags ?? []),
    ...Object.entries(attributes).map(Attributes.text)
  ]
  return said.length === 0 ? "all runs" : said.join(", ")
}
