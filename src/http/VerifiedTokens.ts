/**
 * Which tokens were found to be signed with one of the executor's keys and well formed, so that a
 * token that comes with every request is not computed anew for each.
 *
 * What was found stays true for as long as the keys do, and they are fixed for the `Tokens` that
 * this belongs to. What changes is the time, which is therefore compared at each request.
 */
import { createHash } from "node:crypto"

/** Enough for the clients of a day; a token that is forgotten is verified again. */
const rememberedTokens = 1_000

export interface VerifiedTokens {
  readonly has: (token: string) => boolean
  readonly add: (token: string) => void
}

/**
 * A digest, for a list of valid tokens is worth stealing. Of UTF-16, in which two texts are never
 * written alike; in UTF-8 halves of surrogate pairs are.
 */
const digestOf = (token: string): string =>
  createHash("sha256").update(token, "utf16le").digest("base64")

/** None at first; over the limit the one that was added first is forgotten. */
export const make = (limit = rememberedTokens): VerifiedTokens => {
  const digests = new Set<string>()
  return {
    has: (token) => digests.has(digestOf(token)),
    add: (token) => {
      digests.add(digestOf(token))
      if (digests.size <= limit) return
      const [oldest = ""] = digests
      digests.delete(oldest)
    }
  }
}
