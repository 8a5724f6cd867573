/** Names that mean something to the engine, or to `@effect/workflow`: a workflow gives them to nothing of its own. */

/** `DurableClock.sleep` names its activities and deferreds so. */
export const timerPrefix = "DurableClock/"

/** The name that a workflow has given to a sleep, from that of its timer. */
export const nameOfTimer = (timer: string): string =>
  timer.startsWith(timerPrefix) ? timer.slice(timerPrefix.length) : timer

/** `DurableDeferred.raceAll` names its deferred so; it only looks whether the race is over. */
export const racePrefix = "raceAll/"

/** The engine's own: 0.1.0 kept something of its own among a run's signals, and a later one may. */
export const ownPrefix = "workflow-executor/"

/** What nobody tells a run from outside: that its sleep is over, or its race. */
export const isTheEngines = (name: string): boolean =>
  [timerPrefix, racePrefix, ownPrefix].some((prefix) => name.startsWith(prefix))

/** @param what what is named so: "an Activity" */
export const refusal = (what: string, name: string): string =>
  `${what} cannot be named "${name}": the engine uses names that begin with ${timerPrefix} and ${ownPrefix} itself`
