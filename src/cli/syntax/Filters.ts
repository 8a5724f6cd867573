/** Which runs are meant: options that lists and operations on many runs have in common. */
import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"
import * as Attributes from "../../api/Attributes.js"
import type { BulkFilter } from "../../api/Bulk.js"
import { type RunStatus, runStatuses } from "../../store/RunStore.js"
import { moment, optionalText } from "./Common.js"

export const tags = (description: string) =>
  Options.text("tag").pipe(Options.withDescription(description), Options.repeated)

export const attributes = (description: string) =>
  Options.text("attribute").pipe(
    Options.withPseudoName("name=value"),
    Options.withDescription(description),
    Options.repeated
  )

/** Without those that were not given. */
export const labelsOf = ({
  attribute,
  tag
}: {
  readonly attribute: ReadonlyArray<string>
  readonly tag: ReadonlyArray<string>
}) => ({
  ...(tag.length === 0 ? {} : { tags: tag }),
  ...(attribute.length === 0
    ? {}
    : { attributes: Object.fromEntries(attribute.map(Attributes.parse)) })
})

export const filters = {
  workflow: optionalText("workflow", "Only runs of this workflow"),
  key: optionalText("key", "Only the run of this idempotency key; with --workflow"),
  status: Options.choice("status", runStatuses).pipe(
    Options.withDescription("Only runs in this status; may be repeated"),
    Options.repeated
  ),
  createdAfter: moment("created-after", "Only runs created then or later"),
  createdBefore: moment("created-before", "Only runs created earlier"),
  roots: Options.boolean("roots").pipe(
    Options.withDescription("Only runs that no other run has started")
  ),
  parent: optionalText("parent", "Only runs that the run of this id has started"),
  mend: Options.boolean("mend").pipe(
    Options.withDescription("Only runs that wait to be mended and resumed")
  ),
  tag: tags("Only runs that have this tag; may be repeated"),
  attribute: attributes("Only runs that have this attribute; may be repeated")
}

interface Given {
  readonly workflow: Option.Option<string>
  readonly key: Option.Option<string>
  readonly status: ReadonlyArray<RunStatus>
  readonly createdAfter: Option.Option<Date>
  readonly createdBefore: Option.Option<Date>
  readonly roots: boolean
  readonly parent: Option.Option<string>
  readonly mend: boolean
  readonly tag: ReadonlyArray<string>
  readonly attribute: ReadonlyArray<string>
}

export const filterOf = ({ mend, roots, status, ...given }: Given): BulkFilter => ({
  // none given is every status; an empty list would be none
  ...(status.length === 0 ? {} : { status }),
  workflow: Option.getOrUndefined(given.workflow),
  key: Option.getOrUndefined(given.key),
  createdAfter: Option.getOrUndefined(given.createdAfter),
  createdBefore: Option.getOrUndefined(given.createdBefore),
  parent: Option.getOrUndefined(given.parent),
  ...(roots ? { roots } : {}),
  ...(mend ? { mend } : {}),
  ...labelsOf(given)
})
