/** Workflows that are paused, as the API tells of them, and what is asked of them. */
import * as Schema from "effect/Schema"

/**
 * A workflow of which no run begins. With `park` runs that have begun are not gone on with either: each
 * stops where its next step would start. `since` is ISO 8601.
 */
export const PauseView = Schema.Struct({
  workflow: Schema.String,
  since: Schema.String,
  park: Schema.Boolean
})
export type PauseView = typeof PauseView.Type

export interface PauseRequest {
  readonly workflow: string
  /** What is under way stops where its next step would start. Default: it goes on. */
  readonly park?: boolean | undefined
}
