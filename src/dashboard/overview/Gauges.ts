/** What the overview takes from the process's metrics. */

const prefix = "workflow_executor_"

/** The sum over all labels of a metric in the text format of Prometheus; `undefined` where it has none. */
export const total = (text: string, name: string): number | undefined => {
  const values = text.split("\n").flatMap((line) => {
    const [, found, value] = /^([a-z_]+)(?:\{.*\})? (\S+)/.exec(line) ?? []
    return found === `${prefix}${name}` && value !== undefined ? [Number(value)] : []
  })
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}

export interface Gauges {
  readonly stepsInFlight: number | undefined
  readonly stepsWaiting: number | undefined
  /** Seconds. */
  readonly oldestPending: number | undefined
  readonly runsToMend: number | undefined
}

export const read = (text: string): Gauges => ({
  stepsInFlight: total(text, "steps_in_flight"),
  stepsWaiting: total(text, "steps_waiting"),
  oldestPending: total(text, "oldest_pending_age_seconds"),
  runsToMend: total(text, "runs_to_mend")
})
