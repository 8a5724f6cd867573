/**
 * A service that a workflow asks for and nobody has provided.
 *
 * What a function asks for is in its type alone, and JavaScript has none: nothing is known of it
 * before it is asked for. It is then no failure of the run, which would be compensated for and over:
 * whoever put the layers together left something out. So it is told by the service's name, once for
 * each workflow, and the run waits to be resumed.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Defects from "../values/Defects.js"
import type { ActiveRun, Registration } from "./run/ActiveRun.js"

/** As `effect` says it, with the place at which the service's Tag was made. */
const pattern = /^Service not found: (.+?)(?: \(defined at [^\n]*\))?$/

const nameIn = (defect: unknown): string | undefined =>
  // what was recorded before stays what it was: to provide the service now would not help that run
  defect instanceof Error && !Defects.isRecorded(defect)
    ? pattern.exec(defect.message)?.[1]
    : undefined

/** The name of the service for want of which this failed. */
export const of = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit) || !Cause.isDie(exit.cause)) return undefined
  for (const defect of Cause.defects(exit.cause)) {
    const name = nameIn(defect)
    if (name !== undefined) return name
  }
  return undefined
}

/** Why a run waits. */
export const explain = (service: string, step?: string): string =>
  `nothing provides the service "${service}" that ${
    step === undefined ? "its workflow" : `step "${step}"`
  } asks for: provide it to the workflow's layer, and resume the run`

/** Of which services it has been said that they are missing. */
const told = new WeakMap<Registration, Set<string>>()

/** Says so, the first time for this registration of the workflow. */
export const tell = (
  { registration, workflowName }: ActiveRun,
  service: string
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const services = told.get(registration) ?? new Set()
    told.set(registration, services)
    if (services.has(service)) return Effect.void
    services.add(service)
    return Effect.logError(
      `nothing provides the service "${service}" that workflow "${workflowName}" asks for: its runs wait to be resumed when its layer does`
    )
  })
