import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { hostname } from "node:os"
import { describe, expect, it } from "vitest"
import * as Machine from "../../src/internal/Machine.js"

/** A system with these processes: pid to when it started. */
const system = (
  processes: Readonly<Record<number, string | undefined>>,
  over: Partial<Machine.System> = {}
): Machine.System => ({
  hostname: () => "orders-1",
  machine: () => "boot-1 pid:[1]",
  startOf: (pid) => processes[pid],
  exists: (pid) => pid in processes,
  pid: 7,
  ...over
})

const here = Machine.make(system({ 7: "100", 8: "200", 9: undefined }))

const row = (pid: number, start: string, over: Partial<Machine.System> = {}) => ({
  host: Machine.make(system({ 7: start }, over)).host,
  pid
})

describe("an executor of this machine", () => {
  it("is dead when there is no process of its pid", () => {
    expect(here.isDead(row(6, "50"))).toBe(true)
  })

  it("is dead when a later process has its pid, this one included", () => {
    expect(here.isDead(row(8, "50"))).toBe(true)
    expect(here.isDead(row(7, "50"))).toBe(true)
  })

  it("is alive while its process is there, this one included", () => {
    expect(here.isDead(row(8, "200"))).toBe(false)
    expect(here.isDead(row(7, "100"))).toBe(false)
  })

  it("is taken for alive where it cannot be read when the process of its pid started", () => {
    expect(here.isDead(row(9, "50"))).toBe(false)
  })
})

describe("an executor of which nothing is known here", () => {
  it.each([
    ["another host", { hostname: () => "orders-2" }],
    ["another boot", { machine: () => "boot-2 pid:[1]" }],
    ["another pid namespace", { machine: () => "boot-1 pid:[2]" }],
    ["a system that does not tell", { machine: () => undefined }]
  ])("is left to its lease: %s", (_, over) => {
    expect(here.isDead(row(6, "50", over))).toBe(false)
  })

  it("is left to its lease: a text of another version", () => {
    for (const host of ["", "orders-1", `${here.host} | more`]) {
      expect(here.isDead({ host, pid: 6 })).toBe(false)
    }
  })

  it("is left to its lease by a process that does not know its own machine", () => {
    const blind = Machine.make(system({ 7: "100" }, { machine: () => undefined }))
    expect(blind.host).toBe("orders-1")
    expect(blind.isDead({ host: blind.host, pid: 6 })).toBe(false)
  })
})

describe.runIf(existsSync("/proc/self/stat"))("on Linux", () => {
  it("a process that has ended is dead, and this one is not", () => {
    const { host } = Machine.here
    const ended = spawnSync(process.execPath, ["--eval", ""])
    expect(Machine.here.isDead({ host, pid: ended.pid })).toBe(true)
    expect(Machine.here.isDead({ host, pid: process.pid })).toBe(false)
  })

  it("the text has the name of the machine for people, and more", () => {
    expect(Machine.nameOf(Machine.here.host)).toBe(hostname())
    expect(Machine.here.host).not.toBe(hostname())
  })
})
