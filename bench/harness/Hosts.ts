/**
 * Machines of their own, as far as the network goes: network namespaces of Linux (`man 7
 * network_namespaces`), each with an address, joined by a bridge. Making them takes root and `ip`.
 */
import { execFileSync } from "node:child_process"

export interface Host {
  /** What a command that is to run on it begins with. */
  readonly prefix: ReadonlyArray<string>
  /** As if its cable were pulled: nothing comes in or goes out any more, and nobody is told. */
  readonly cutOff: () => void
}

export interface Hosts {
  /** Of this machine, as they see it. */
  readonly address: string
  /** From which they come. */
  readonly network: string
  readonly add: () => Host
  /** What runs on them has ended. */
  readonly remove: () => void
}

const ip = (...args: ReadonlyArray<string>): void => {
  execFileSync("ip", [...args], { stdio: ["ignore", "ignore", "pipe"] })
}

// for measurements of networks (RFC 2544): nothing else has these addresses
const network = "198.18.77"

/** `undefined` where there can be none. */
export const make = (): Hosts | undefined => {
  const bridge = `bench${process.pid}`
  const names: Array<string> = []
  const remove = () => {
    for (const name of names) quietly("netns", "del", name)
    names.length = 0
    quietly("link", "del", bridge)
  }
  try {
    ip("link", "add", bridge, "type", "bridge")
    ip("addr", "add", `${network}.1/24`, "dev", bridge)
    ip("link", "set", bridge, "up")
    // who may make a bridge may not be allowed to make these
    ip("netns", "add", bridge)
    ip("netns", "del", bridge)
  } catch {
    remove()
    return undefined
  }
  process.once("exit", remove)
  let last = 1
  const add = (): Host => {
    const number = ++last
    if (number > 254) throw new Error("there are addresses for 253 hosts")
    const name = `${bridge}-${number}`
    const cable = `v${process.pid}-${number}`
    ip("netns", "add", name)
    names.push(name)
    ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", cable, "master", bridge, "up")
    ip("-n", name, "addr", "add", `${network}.${number}/24`, "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "link", "set", "lo", "up")
    return {
      prefix: ["ip", "netns", "exec", name],
      cutOff: () => ip("link", "set", cable, "down")
    }
  }
  return {
    address: `${network}.1`,
    network: `${network}.0/24`,
    add,
    remove: () => {
      process.off("exit", remove)
      remove()
    }
  }
}

/** It may be gone already, or never have come to be. */
const quietly = (...args: ReadonlyArray<string>): void => {
  try {
    ip(...args)
  } catch {
    // nothing is left of it
  }
}
