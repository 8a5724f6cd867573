/**
 * Where the page is: behind the `#` of its address, so that it can be shared, and works behind
 * whatever path a proxy puts in front of it.
 */
import { signal } from "@preact/signals"
import type { Query } from "./Query.js"
import { takeFromAddress } from "./server/Session.js"

export interface Place {
  /** The decoded segments: `["runs", "17e3"]`. */
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
}

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const parse = (hash: string): Place => {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2)
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decoded),
    query: new URLSearchParams(query)
  }
}

export const place = signal<Place>(parse(location.hash))

const searchOf = (query: Query) => {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value.length === 0) continue
    params.set(name, typeof value === "string" ? value : value.join(","))
  }
  const text = params.toString()
  return text === "" ? "" : `?${text}`
}

/** The address of a page, for a link. */
export const to = (path: ReadonlyArray<string>, query: Query = {}): string =>
  `#/${path.map(encodeURIComponent).join("/")}${searchOf(query)}`

const follow = () => {
  takeFromAddress()
  place.value = parse(location.hash)
}

/** Goes to an address that `to` has made; `replace` leaves no way back to this one. */
export const go = (address: string, { replace = false } = {}): void => {
  if (!replace) {
    location.hash = address
    return
  }
  history.replaceState(null, "", address)
  follow()
}

export const start = (): void => {
  follow()
  addEventListener("hashchange", follow)
}
