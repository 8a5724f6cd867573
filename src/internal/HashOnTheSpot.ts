/**
 * Hashes for tests. The ids of runs, and the keys of Activities, are hashes by Web Crypto, which Node
 * computes on another thread: a TestClock does not wait for that, and may be moved on past a run that
 * has not begun yet. While the scope is open they are computed on the spot; they are the same.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const names = new Map([
  ["SHA-1", "sha1"],
  ["SHA-256", "sha256"],
  ["SHA-384", "sha384"],
  ["SHA-512", "sha512"]
])

type Digest = typeof crypto.subtle.digest

const bytesOf = (data: Parameters<Digest>[1]) =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)

const onTheSpot =
  (original: Digest): Digest =>
  async (algorithm, data) => {
    const name = typeof algorithm === "string" ? algorithm : algorithm.name
    const known = names.get(name.toUpperCase())
    if (known === undefined) return original.call(crypto.subtle, algorithm, data)
    return new Uint8Array(createHash(known).update(bytesOf(data)).digest()).buffer
  }

/** How many scopes are open. */
let open = 0
let undo = () => {}

const acquire = Effect.sync(() => {
  if (open++ > 0) return
  const own = Object.getOwnPropertyDescriptor(crypto.subtle, "digest")
  Object.defineProperty(crypto.subtle, "digest", {
    configurable: true,
    writable: true,
    value: onTheSpot(crypto.subtle.digest)
  })
  undo = () => {
    if (own === undefined) Reflect.deleteProperty(crypto.subtle, "digest")
    else Object.defineProperty(crypto.subtle, "digest", own)
  }
})

const release = Effect.sync(() => {
  if (--open === 0) undo()
})

export const whileOpen: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  acquire,
  () => release
)
