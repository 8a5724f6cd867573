/** The pause between two attempts of a step is a timer that says so in its name. */

export interface Backoff {
  readonly step: string
  /** The one that it follows. */
  readonly attempt: number
}

const pattern = /^(.*)\/(\d+)\/backoff$/s

/** `undefined`: it is another timer. */
export const ofTimer = (name: string): Backoff | undefined => {
  const [, step, attempt] = pattern.exec(name) ?? []
  return step === undefined ? undefined : { step, attempt: Number(attempt) }
}
