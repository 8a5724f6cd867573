/**
 * Which process of which machine an executor is, in the text that its row has for its host: so that
 * another process of the same machine sees that it is dead, and need not wait for its lease.
 *
 * A pid says nothing by itself: other machines, containers and boots have the same ones, and so has
 * a process that came later. With the boot, the pid namespace and the time at which the process
 * started, it names one process only. Where these cannot be read, as outside of Linux, only the
 * lease counts.
 */
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/** What the operating system says; a test says something else. */
export interface System {
  readonly hostname: () => string
  /** Names the boot and the pid namespace that this process sees. */
  readonly machine: () => string | undefined
  /** When the process of that pid started, in whatever unit; `undefined` when it cannot be read. */
  readonly startOf: (pid: number) => string | undefined
  /** Whether there is a process of that pid; one that is stopped or a zombie is there. */
  readonly exists: (pid: number) => boolean
  readonly pid: number
}

/** An executor, as its row has it. */
export interface Row {
  readonly host: string
  readonly pid: number
}

export interface Machine {
  /** The text for an executor's host. */
  readonly host: string
  /** Whether it is known that the process is gone; `false` when it cannot be told from here. */
  readonly isDead: (row: Row) => boolean
}

const separator = " | "

export const make = (system: System): Machine => {
  const machine = system.machine()
  const start = system.startOf(system.pid)
  const name = system.hostname()
  if (machine === undefined || start === undefined) return { host: name, isDead: () => false }
  return {
    host: [name, machine, start].join(separator),
    isDead: ({ host, pid }) => {
      const [theirName, theirMachine, theirStart, ...more] = host.split(separator)
      if (theirName !== name || theirMachine !== machine) return false
      if (theirStart === undefined || more.length > 0) return false
      if (!system.exists(pid)) return true
      const startNow = system.startOf(pid)
      return startNow !== undefined && startNow !== theirStart
    }
  }
}

/** The part of the text that is for people: the machine's name. */
export const nameOf = (host: string): string => host.split(separator, 1)[0] ?? host

const orUndefined = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

const readMachine = (): string => {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
  return `${boot} ${readlinkSync("/proc/self/ns/pid")}`
}

/** Ticks since the boot; the process's name stands before it, in brackets, and may have any text. */
const readStart = (pid: number): string | undefined => {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
}

const exists = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, and somebody else's
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

/** This process. */
export const here: Machine = make({
  hostname,
  machine: () => (process.platform === "linux" ? orUndefined(readMachine) : undefined),
  startOf: (pid) => orUndefined(() => readStart(pid)),
  exists,
  pid: process.pid
})
