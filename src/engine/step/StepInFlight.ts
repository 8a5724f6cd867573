/** A step whose effect is executing, or whose outcome is being recorded. */
export interface StepInFlight {
  /** `runId/name/attempt` */
  readonly key: string
  readonly runId: string
  readonly workflow: string
  readonly name: string
  readonly attempt: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** It is executed while its run undoes what it has done, for it has failed. Default: false. */
  readonly compensation?: boolean | undefined
}
