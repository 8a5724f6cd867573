/**
 * The decisions of a rate limiter, as `@effect/experimental` makes them in memory: plain functions of
 * what is known of a limit and the time. All times are milliseconds.
 */

/** What is known of a limit; where nothing is, nothing of it is taken. */
export interface Known {
  /** A window: how much of it is taken. A bucket: how much is left, less than nothing if that is allowed. */
  readonly value: number
  /** A window: when all of it is free again. A bucket: when it was last filled. */
  readonly at: number
}

/** What a use of a limit has come to. */
export interface Use<Answer> {
  readonly answer: Answer
  /** What is known after it; nothing where it was not allowed. */
  readonly taken: Taken | undefined
}

export interface Taken {
  readonly limit: Known
  /** For a use that is asked for again. */
  readonly use: Known
  /** From then on it is as if nothing had been taken. */
  readonly until: number
}

export interface Limit<Options, Answer> {
  readonly use: (known: Known | undefined, options: Options, now: number) => Use<Answer>
  /** What the answer to a use in the past is now. */
  readonly again: (use: Known, options: Options, now: number) => Answer
}

interface Options {
  readonly tokens: number
  /** How long one token takes to be free again. */
  readonly refill: number
}

export interface WindowOptions extends Options {
  /** No more than so many; without, whoever asks waits. */
  readonly limit: number | undefined
}

/** Answers with what is taken, and when all of it is free again, from now. */
export const window: Limit<WindowOptions, readonly [count: number, ttl: number]> = {
  use: (known, { limit, refill, tokens }, now) => {
    const before = known ?? { value: 0, at: now }
    const count = before.value + tokens
    if (limit !== undefined && count > limit) {
      return { answer: [count, before.at - now], taken: undefined }
    }
    const after = { value: count, at: before.at + refill * tokens }
    return { answer: [count, after.at - now], taken: { limit: after, use: after, until: after.at } }
  },
  again: ({ at, value }, _, now) => [value, at - now]
}

export interface BucketOptions extends Options {
  readonly limit: number
  /** Less than nothing may be left: whoever asks waits. */
  readonly mayOverflow: boolean
}

/** Answers with what is left. */
export const bucket: Limit<BucketOptions, number> = {
  use: (known, { limit, mayOverflow, refill, tokens }, now) => {
    const before = known ?? { value: limit, at: now }
    const refilled = Math.floor((now - before.at) / refill)
    const left = Math.min(limit, before.value + refilled) - tokens
    if (left < 0 && !mayOverflow) return { answer: left, taken: undefined }
    const at = before.at + refilled * refill
    return {
      answer: left,
      taken: {
        limit: { value: left, at },
        use: { value: left, at: now },
        until: at + (limit - left) * refill
      }
    }
  },
  again: ({ at, value }, { limit, refill, tokens }, now) =>
    Math.min(limit - tokens, value + Math.floor((now - at) / refill))
}
