/**
 * Who is signed in: a bearer token, kept for this tab alone and for as long as it is accepted.
 *
 * It comes by the fragment of a link (`#token=...`), which a browser never sends, or is typed in; it
 * is never part of a URL that stays, nor of a cookie.
 */
import { computed, signal } from "@preact/signals"
import type { Scope } from "../../api/Access.js"

const key = "effect-workflow-executor/token"

const kept = (): string | undefined => {
  try {
    return sessionStorage.getItem(key) ?? undefined
  } catch {
    // a browser that keeps nothing: it lasts until the page is loaded again
    return undefined
  }
}

const keep = (value: string | undefined) => {
  try {
    if (value === undefined) sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, value)
  } catch {
    // as above
  }
}

export const token = signal<string | undefined>(kept())

/** Why nobody is signed in any more, where somebody was. */
export const refusal = signal<string | undefined>(undefined)

/** What can stand in a header. */
const sendable = /^[\x21-\x7e]+$/

export const signIn = (value: string): void => {
  if (!sendable.test(value)) {
    signOut("a token has no blanks and no other such characters")
    return
  }
  keep(value)
  refusal.value = undefined
  token.value = value
}

export const signOut = (reason?: string): void => {
  keep(undefined)
  refusal.value = reason
  token.value = undefined
}

/** Takes the token out of the address, and out of the history of the tab, before anything is shown. */
export const takeFromAddress = (): void => {
  const given = /^#token=([^&]*)$/.exec(location.hash)?.[1]
  if (given === undefined) return
  history.replaceState(null, "", `${location.pathname}${location.search}#/`)
  signIn(decoded(given))
}

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const all: ReadonlyArray<Scope> = ["runs:read", "runs:write", "admin"]

/** The claims of a JWT, unchecked: the server checks them, here they say what to offer. */
const claimsOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const part = text.split(".")[1] ?? ""
    const bytes = Uint8Array.from(
      atob(part.replaceAll("-", "+").replaceAll("_", "/")),
      (character) => character.charCodeAt(0)
    )
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof claims === "object" && claims !== null ? { ...claims } : {}
  } catch {
    return {}
  }
}

const scopesOf = (text: string | undefined): ReadonlyArray<Scope> => {
  if (text === undefined) return []
  const { scope } = claimsOf(text)
  if (typeof scope !== "string") return all
  const named = scope.split(" ")
  return named.includes("admin") ? all : all.filter((one) => named.includes(one))
}

/** What the token may do. */
export const rights = computed(() => {
  const scopes = scopesOf(token.value)
  return {
    read: scopes.includes("runs:read"),
    write: scopes.includes("runs:write"),
    admin: scopes.includes("admin")
  }
})
