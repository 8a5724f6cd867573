/** What the commands of workflows do. */
import * as Effect from "effect/Effect"
import type { PauseView } from "../api/Pauses.js"
import * as Output from "./Output.js"
import { type Options, on } from "./RunsCommands.js"

const row = ({ park, since, workflow }: PauseView) => [
  workflow,
  since,
  park ? "stops at its next step" : "goes on"
]

export const list = (options: Options) =>
  on(options)((target) =>
    Effect.flatMap(target.pauses, (pauses) =>
      options.json
        ? Output.json({ pauses })
        : Output.table(["PAUSED", "SINCE", "WHAT HAS BEGUN"], pauses.map(row))
    )
  )

const said = (options: Options, workflow: string, what: string) =>
  options.json ? Output.json({ workflow }) : Output.line(what)

export const pause = (
  { park, ...options }: Options & { readonly park: boolean },
  workflow: string
) =>
  on(options)((target) =>
    Effect.zipRight(
      target.pauseWorkflow({ workflow, park }),
      said(
        options,
        workflow,
        park
          ? "paused: none of it begins, and what has begun stops at its next step"
          : "paused: none of it begins"
      )
    )
  )

export const resume = (options: Options, workflow: string) =>
  on(options)((target) =>
    Effect.zipRight(target.resumeWorkflow(workflow), said(options, workflow, "it goes on"))
  )
