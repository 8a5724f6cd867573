/** Executors as processes of their own, on one schema of PostgreSQL. Takes real time: they are processes. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { command } from "../cli/support.js"
import * as Process from "../support/Executor.js"
import * as Postgres from "../support/Postgres.js"
import { startAnother, startReplicated } from "../support/PostgresServer.js"
import * as Proxy from "../support/Proxy.js"
import { times } from "./Fixture.js"

const executors = (url: string, schema: string) =>
  Effect.gen(function* () {
    const folder = yield* Process.makeFolder
    const file = join(folder, "executions.jsonl")
    const env = {
      DATABASE_URL: url,
      DATABASE_SCHEMA: schema,
      FIXTURE_FILE: file,
      FIXTURE_GATE: folder
    }
    return {
      env,
      start: (extra: Readonly<Record<string, string>> = {}) =>
        Process.startReady({
          module: Process.fixture("work.ts"),
          cwd: folder,
          env: { ...env, ...extra }
        }),
      executions: Process.executions(file),
      executed: (matches: (executions: ReadonlyArray<Process.Execution>) => boolean) =>
        Process.executed(file, matches),
      began: (runId: string, step: string) =>
        Process.executed(file, (executions) => times(executions, "began", runId, step) > 0),
      open: (id: string) => Effect.promise(() => writeFile(join(folder, id), ""))
    }
  })

const onSchema = Effect.flatMap(Postgres.database, ({ schema, url }) =>
  executors(Redacted.value(url), schema)
)

/**
 * A run whose step this executor has begun. Whoever comes first claims it, and that need not be the
 * one that was asked.
 */
const heldBy = (
  executor: Process.Executor,
  fixture: Effect.Effect.Success<ReturnType<typeof executors>>,
  n = 0
): Effect.Effect<{ readonly id: string; readonly runId: string }> =>
  Effect.gen(function* () {
    const id = `held-${n}`
    const runId = yield* executor.run("Held", { id })
    const executions = yield* fixture.began(runId, "held")
    const begun = executions.find((execution) => execution.runId === runId)
    if (begun?.pid === executor.pid) return { id, runId }
    yield* fixture.open(id)
    return yield* heldBy(executor, fixture, n + 1)
  })

/** Far longer than these tests take: nobody sees it lapse, nor looks at leases twice. */
const longLease = { LEASE_DURATION: "1 day" }

describe("executors on PostgreSQL", () => {
  it.scopedLive(
    "share the work, and one that is stopped hands over: each step is executed once",
    () =>
      Effect.gen(function* () {
        const fixture = yield* onSchema
        const room = { MAX_CONCURRENT_RUNS: "10", MAX_CONCURRENT_STEPS: "10" }
        const [one, two] = yield* Effect.all([fixture.start(room), fixture.start(room)], {
          concurrency: 2
        })
        const runIds = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, n) => `run-${n}`),
          (id) => one.run("Work", { id, steps: 5, millis: 50 }),
          { concurrency: 20 }
        )
        const began = (pid: number) =>
          fixture.executed(
            (executions) =>
              executions.filter((execution) => execution.event === "began" && execution.pid === pid)
                .length >= 20
          )
        yield* began(one.pid)
        yield* began(two.pid)
        expect((yield* one.stop()).code).toBe(0)
        expect((yield* one.log("drain over")).annotations.stepsCut).toBe(0)
        yield* Effect.forEach(runIds, (runId) => two.completed(runId), { concurrency: 10 })
        const executions = yield* fixture.executions
        for (const runId of runIds) {
          for (let n = 1; n <= 5; n++) {
            expect(times(executions, "began", runId, `step-${n}`)).toBe(1)
          }
        }
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* two.stop()).code).toBe(0)
      }),
    90_000
  )

  it.scopedLive(
    "one that is killed is noticed by the other by the end of its session, however long its lease",
    () =>
      Effect.gen(function* () {
        const fixture = yield* onSchema
        // whose session is not a new one: then the others' may be on their way
        const other = yield* fixture.start(longLease)
        const killed = yield* fixture.start(longLease)
        const { id, runId } = yield* heldBy(killed, fixture)
        const { at } = yield* killed.stop("SIGKILL")
        yield* fixture.open(id)
        const tookOver = yield* other.log("took over")
        console.info(`taken over ${tookOver.at - at} ms after it was killed`)
        const run = yield* other.completed(runId)
        expect(run.steps.map(({ name }) => name)).toEqual(["held", "after"])
        const executions = yield* fixture.executions
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* other.stop()).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "one that is frozen past its lease loses its run, refuses to write, and goes on with others",
    () =>
      Effect.gen(function* () {
        const fixture = yield* onSchema
        const lease = { LEASE_DURATION: "2 seconds" }
        const frozen = yield* fixture.start(lease)
        const runId = yield* frozen.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        yield* frozen.kill("SIGSTOP")
        const other = yield* fixture.start(lease)
        yield* other.log("took over")
        yield* fixture.executed((executions) => times(executions, "began", runId, "held") === 2)
        // the step ends in both
        yield* fixture.open("a")
        const run = yield* other.completed(runId)
        const winner = run.steps.find(({ name }) => name === "held")?.result
        yield* frozen.kill("SIGCONT")
        yield* frozen.log("lease lost")
        const next = yield* frozen.run("Work", { id: "next", steps: 2, millis: 10 })
        yield* frozen.completed(next)
        expect(yield* frozen.get(runId)).toEqual(run)
        const executions = yield* fixture.executions
        expect(executions.find(({ execution }) => execution === winner)?.pid).toBe(other.pid)
        expect(times(executions, "began", runId, "after")).toBe(1)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* frozen.stop()).code).toBe(0)
        expect((yield* other.stop()).code).toBe(0)
      }),
    60_000
  )

  it.scopedLive(
    "keep the outcome of a step while the database is away, and record it when it is back",
    () =>
      Effect.gen(function* () {
        const database = yield* Postgres.ownDatabase
        const fixture = yield* executors(Redacted.value(database.url), "workflows")
        const executor = yield* fixture.start(longLease)
        const runId = yield* executor.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        yield* database.close
        yield* fixture.open("a")
        yield* fixture.executed((executions) => times(executions, "ended", runId, "held") === 1)
        yield* executor.log("store write failed; trying again")
        const payload = { id: "b", steps: 1, millis: 1 }
        const refused = yield* executor.request("POST", "/runs", { workflow: "Work", payload })
        expect(refused.status).toBe(503)
        yield* database.open
        const run = yield* executor.completed(runId)
        const executions = yield* fixture.executions
        expect(times(executions, "began", runId, "held")).toBe(1)
        expect(run.steps.find(({ name }) => name === "held")?.result).toBe(
          executions.find(({ event }) => event === "ended")?.execution
        )
        // what is told from elsewhere is heard again
        yield* executor.completed(yield* executor.run("Work", payload))
        expect((yield* executor.stop()).code).toBe(0)
      }),
    90_000
  )
})

/** Asks until it is so. */
const whenReady = (executor: Process.Executor, status: number): Effect.Effect<number> => {
  const began = performance.now()
  const ask: Effect.Effect<number> = Effect.flatMap(executor.request("GET", "/ready"), (answer) =>
    answer.status === status
      ? Effect.sync(() => performance.now() - began)
      : Effect.delay(
          Effect.suspend(() => ask),
          "20 millis"
        )
  )
  return ask
}

/** A server of the test's own, which it ends. */
const ownServer = Effect.acquireRelease(Effect.promise(startAnother), ({ stop }) =>
  Effect.promise(stop)
)

const replicated = (options: Parameters<typeof startReplicated>[0]) =>
  Effect.acquireRelease(
    Effect.promise(() => startReplicated(options)),
    ({ primary, standby }) =>
      Effect.promise(async () => {
        await standby.stop()
        await primary.stop()
      })
  )

describe("a server of PostgreSQL that ends", () => {
  it.scopedLive(
    "is told by readiness, refuses what is new, and has all that was in flight when it is back",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer
        const fixture = yield* executors(server.url, "workflows")
        const executor = yield* fixture.start(longLease)
        expect((yield* executor.request("GET", "/ready")).status).toBe(200)
        const runId = yield* executor.run("Held", { id: "a" })
        yield* fixture.began(runId, "held")
        yield* Effect.promise(server.crash)
        yield* whenReady(executor, 503)
        expect((yield* executor.request("GET", "/health")).status).toBe(200)
        const payload = { id: "b", steps: 1, millis: 1 }
        const begin = executor.request("POST", "/runs", { workflow: "Work", payload })
        expect((yield* begin).status).toBe(503)
        yield* fixture.open("a")
        yield* fixture.executed((executions) => times(executions, "ended", runId, "held") === 1)
        yield* executor.log("store write failed; trying again")
        yield* Effect.promise(server.up)
        yield* whenReady(executor, 200)
        const run = yield* executor.completed(runId)
        const executions = yield* fixture.executions
        expect(times(executions, "began", runId, "held")).toBe(1)
        expect(run.steps.find(({ name }) => name === "held")?.result).toBe(
          executions.find(({ event }) => event === "ended")?.execution
        )
        yield* executor.completed(yield* executor.run("Work", payload))
        expect((yield* executor.stop()).code).toBe(0)
      }),
    90_000
  )

  it.scopedLive(
    "again and again, in the middle of steps: each is executed once, and nothing is undone",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer
        const fixture = yield* executors(server.url, "workflows")
        const executor = yield* fixture.start(longLease)
        const runIds = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, n) => `run-${n}`),
          (id) => executor.run("Work", { id, steps: 10, millis: 100 }),
          { concurrency: 20 }
        )
        for (const steps of [20, 70, 120]) {
          yield* fixture.executed(
            (executions) => executions.filter(({ event }) => event === "ended").length >= steps
          )
          yield* Effect.promise(server.crash)
          yield* Effect.promise(server.up)
        }
        yield* Effect.forEach(runIds, (runId) => executor.completed(runId), { concurrency: 10 })
        const executions = yield* fixture.executions
        for (const runId of runIds) {
          for (let n = 1; n <= 10; n++) {
            expect(times(executions, "began", runId, `step-${n}`)).toBe(1)
          }
        }
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* executor.stop()).code).toBe(0)
      }),
    90_000
  )

  it.scopedLive(
    "and of which a synchronous standby takes the place: nothing is lost, and nothing repeated",
    () =>
      Effect.gen(function* () {
        const { primary, promote, standby } = yield* replicated({ synchronous: true })
        const proxy = yield* Proxy.make(primary.url)
        const fixture = yield* executors(proxy.url, "workflows")
        const executor = yield* fixture.start(longLease)
        const held = yield* executor.run("Held", { id: "a" })
        yield* fixture.began(held, "held")
        const runIds = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, n) => `run-${n}`),
          (id) => executor.run("Work", { id, steps: 10, millis: 50 }),
          { concurrency: 20 }
        )
        yield* fixture.executed(
          (executions) => executions.filter(({ event }) => event === "ended").length >= 70
        )
        yield* Effect.promise(primary.crash)
        yield* whenReady(executor, 503)
        yield* fixture.open("a")
        yield* fixture.executed((executions) => times(executions, "ended", held, "held") === 1)
        yield* Effect.promise(promote)
        proxy.moveTo(standby.url)
        yield* whenReady(executor, 200)
        const all = [held, ...runIds]
        yield* Effect.forEach(all, (runId) => executor.completed(runId), { concurrency: 10 })
        const executions = yield* fixture.executions
        expect(times(executions, "began", held, "held")).toBe(1)
        for (const runId of runIds) {
          for (let n = 1; n <= 10; n++) {
            expect(times(executions, "began", runId, `step-${n}`)).toBe(1)
          }
        }
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* executor.stop()).code).toBe(0)
      }),
    120_000
  )

  it.scopedLive(
    "and of which one takes the place that has not heard of a claim: its run is executed by one alone",
    () =>
      Effect.gen(function* () {
        const servers = yield* replicated({ synchronous: false })
        const proxy = yield* Proxy.make(servers.primary.url)
        const fixture = yield* executors(proxy.url, "workflows")
        // full with the one run that it is about
        const first = yield* fixture.start({ ...longLease, MAX_CONCURRENT_RUNS: "1" })
        const other = yield* fixture.start(longLease)
        yield* first.request("PUT", "/pauses/Held", {})
        const runId = yield* first.run("Held", { id: "a" })
        expect((yield* other.stop()).code).toBe(0)
        yield* Effect.promise(servers.fallBehind)
        yield* first.request("DELETE", "/pauses/Held")
        yield* fixture.began(runId, "held")
        yield* Effect.promise(servers.primary.crash)
        yield* Effect.promise(servers.promote)
        proxy.moveTo(servers.standby.url)
        yield* whenReady(first, 200)
        const second = yield* fixture.start(longLease)
        // that it goes on was lost too
        yield* second.request("DELETE", "/pauses/Held")
        yield* fixture.executed((executions) => times(executions, "began", runId, "held") === 2)
        yield* fixture.open("a")
        const run = yield* second.completed(runId)
        expect(run.steps.map(({ name }) => name)).toEqual(["held", "after"])
        yield* first.completed(yield* first.run("Work", { id: "next", steps: 2, millis: 10 }))
        const executions = yield* fixture.executions
        // what the first has come to is not recorded, and it goes on with nothing
        const of = (step: string) =>
          executions.flatMap((one) =>
            one.runId === runId && one.step === step && one.event === "began" ? [one.pid] : []
          )
        expect([of("held"), of("after")]).toEqual([[first.pid, second.pid], [second.pid]])
        const winner = run.steps.find(({ name }) => name === "held")?.result
        expect(executions.find(({ execution }) => execution === winner)?.pid).toBe(second.pid)
        expect(executions.some(({ event }) => event === "compensated")).toBe(false)
        expect((yield* first.stop()).code).toBe(0)
        expect((yield* second.stop()).code).toBe(0)
      }),
    120_000
  )

  it.scopedLive(
    "or is behind a network that swallows everything: readiness answers all the same",
    () =>
      Effect.gen(function* () {
        const { schema, url } = yield* Postgres.database
        const proxy = yield* Proxy.make(Redacted.value(url))
        const fixture = yield* executors(proxy.url, schema)
        const executor = yield* fixture.start(longLease)
        expect((yield* executor.request("GET", "/ready")).status).toBe(200)
        proxy.swallow()
        const millis = yield* whenReady(executor, 503)
        // what was remembered, the look itself, and this machine
        expect(millis).toBeLessThan(5_000)
        expect((yield* executor.request("GET", "/health")).status).toBe(200)
        proxy.restore()
        yield* whenReady(executor, 200)
        expect((yield* executor.stop()).code).toBe(0)
      }),
    90_000
  )
})

describe("the command on PostgreSQL", () => {
  const secret = "a-password-of-somebody"

  it.scopedLive(
    "migrates, lists, checks and prunes, with the URL that it is given",
    () =>
      Effect.gen(function* () {
        const { schema, url } = yield* Postgres.database
        const env = { DATABASE_SCHEMA: schema }
        const on = ["--database-url", Redacted.value(url)]
        const migrated = yield* command(["migrate", ...on], { env })
        expect([migrated.code, migrated.err]).toEqual([0, ""])
        expect(migrated.out).toContain(`schema ${schema}`)
        const listed = yield* command(["runs", "list", "--json", ...on], { env })
        expect([listed.code, listed.err]).toEqual([0, ""])
        expect(JSON.parse(listed.out)).toMatchObject({ runs: [] })
        const checked = yield* command(["doctor", ...on], { env })
        expect([checked.code, checked.err]).toEqual([0, ""])
        expect(checked.out).toMatch(/schema\s+ok/)
        const pruned = yield* command(["prune", "--keep", "0", ...on], { env })
        expect([pruned.code, pruned.err]).toEqual([0, ""])
        expect(pruned.out).toContain("0 runs removed")
      }),
    90_000
  )

  it.scopedLive(
    "refuses a file and a URL together, and tells neither a password nor what is no URL",
    () =>
      Effect.gen(function* () {
        const url = `postgres://somebody:${secret}@127.0.0.1:1/nowhere`
        const both = yield* command(["migrate", "--database", "a.db", "--database-url", url])
        expect(both.code).toBe(1)
        expect(both.err).toContain("DATABASE_URL (option --database-url)")
        expect(both.err).toContain("DATABASE_FILE (option --database)")
        const none = yield* command(["migrate", "--database-url", `mysql://a:${secret}@b/c`])
        expect(none.code).toBe(1)
        expect(none.err).toContain("DATABASE_URL (option --database-url) is <hidden>")
        const away = yield* command(["migrate", "--database-url", url])
        expect(away.code).toBe(1)
        expect(away.err).toContain("ECONNREFUSED")
        for (const { err, out } of [both, none, away]) expect(err + out).not.toContain(secret)
      }),
    60_000
  )
})
