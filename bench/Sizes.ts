/**
 * How much is measured. `quick` only shows that everything works; its numbers mean nothing.
 */
export interface Sizes {
  /** How often each engine is measured, in turn with the others. */
  readonly rounds: number
  /** How long a round starts new work, in milliseconds. */
  readonly roundMillis: number
  /**
   * The round before the first, which is thrown away. The CPU time of a step comes down for about ten
   * seconds, until V8 has compiled what there is (twice: when the first fiber is interrupted, once more).
   */
  readonly warmUpMillis: number
  /** Rounds of what begins with a fresh process and a large file. */
  readonly coldRounds: number
  /** Rounds of what hardly varies and takes long. */
  readonly heapRounds: number
  readonly commits: number
  readonly signals: number
  readonly sleepers: number
  /** So many of the sleepers wake while they are looked at. */
  readonly wakers: number
  readonly unfinished: number
  readonly finished: number
  /** On PostgreSQL. */
  readonly claimFinished: number
  readonly claimSleeping: number
  /** In one queue. */
  readonly queued: number
  readonly queueKeys: number
  /** In a round. */
  readonly queueClaims: number
  readonly suspendedInMemory: number
  readonly runningInMemory: number
  readonly stepsInFlight: number
  /** Executors that go, one after the other. */
  readonly handOvers: number
  readonly backlog: number
  /** Steps and sleeps of one run. */
  readonly loops: number
  /** Of one parent. */
  readonly children: number
  /** Steps of one run that is read again. */
  readonly replayed: number
}

export const full: Sizes = {
  rounds: 5,
  roundMillis: 2_000,
  warmUpMillis: 8_000,
  coldRounds: 3,
  heapRounds: 2,
  commits: 3_000,
  signals: 200,
  sleepers: 100_000,
  wakers: 2_000,
  unfinished: 100_000,
  finished: 1_000_000,
  claimFinished: 10_000_000,
  claimSleeping: 1_000_000,
  queued: 100_000,
  queueKeys: 10_000,
  queueClaims: 300,
  suspendedInMemory: 100_000,
  runningInMemory: 10_000,
  stepsInFlight: 10_000,
  handOvers: 50,
  backlog: 10_000,
  loops: 1_000,
  children: 5_000,
  replayed: 10_000
}

export const quick: Sizes = {
  rounds: 2,
  roundMillis: 250,
  warmUpMillis: 250,
  coldRounds: 1,
  heapRounds: 1,
  commits: 200,
  signals: 20,
  sleepers: 2_000,
  wakers: 100,
  unfinished: 2_000,
  finished: 10_000,
  claimFinished: 10_000,
  claimSleeping: 1_000,
  queued: 1_000,
  queueKeys: 100,
  queueClaims: 5,
  suspendedInMemory: 2_000,
  runningInMemory: 500,
  stepsInFlight: 500,
  handOvers: 2,
  backlog: 500,
  loops: 50,
  children: 100,
  replayed: 200
}
