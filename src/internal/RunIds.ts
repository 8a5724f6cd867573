import * as Effect from "effect/Effect"

/** As `Workflow.executionId` of `@effect/workflow`, which has a payload to make the key of. */
export const ofKey = (workflow: string, key: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() =>
      globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${workflow}-${key}`))
    ),
    (digest) =>
      Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(
        ""
      )
  )
