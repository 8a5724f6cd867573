/** Commits that the server did not come to, as it crashed before or never heard of them; and their marks. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { RunStore } from "../../src/store/RunStore.js"
import { aRun } from "../../src/testing/Acts.js"
import * as Postgres from "../support/Postgres.js"
import { type OwnServer, startAnother } from "../support/PostgresServer.js"
import * as Proxy from "../support/Proxy.js"

const server = Effect.acquireRelease(Effect.promise(startAnother), ({ stop }) =>
  Effect.promise(stop)
)

const claimer = (store: RunStore["Type"]) =>
  Effect.map(store.register({ host: "here", pid: 42, leaseMillis: 60_000 }), (executor) =>
    store.claim({ executor, workflows: [aRun("a").workflow], limit: 9 })
  )

/** A claim of a run whose COMMIT goes nowhere; `between` is what happens before the network is back. */
const withoutCommit = <A, E, R>(
  between: (own: OwnServer, theirs: RunStore["Type"]) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const own = yield* server
    const proxy = yield* Proxy.make(own.url)
    const ours = yield* Postgres.open({ url: Redacted.make(proxy.url) })
    const theirs = yield* Postgres.open({ url: Redacted.make(own.url) })
    const claim = yield* claimer(ours)
    yield* theirs.create(aRun("a"))
    const came = yield* Deferred.make<void>()
    proxy.swallowFrom("COMMIT\0", () => Deferred.unsafeDone(came, Exit.void))
    const claiming = yield* Effect.fork(Effect.flip(claim))
    yield* Deferred.await(came)
    const found = yield* between(own, theirs)
    proxy.restore()
    expect((yield* Fiber.join(claiming)).reason).toBe("unavailable")
    return { claim, found }
  })

const restart = ({ crash, up }: OwnServer) => Effect.promise(() => crash().then(up))

describe("a commit that did not come to the server", () => {
  // its number is given to the next transaction, whose fate is not its own
  it.scopedLive("was not done, whatever commits after a crash", () =>
    Effect.gen(function* () {
      const { claim, found } = yield* withoutCommit((own, theirs) =>
        Effect.zipRight(restart(own), Effect.flatten(claimer(theirs)))
      )
      expect(found.map(({ held }) => held.runId)).toEqual(["a"])
      expect(yield* claim).toEqual([])
    })
  )

  // its number was given to nobody
  it.scopedLive("was not done, where nothing commits after a crash", () =>
    Effect.gen(function* () {
      const { claim } = yield* withoutCommit(restart)
      expect(yield* claim).toHaveLength(1)
    })
  )

  it.scopedLive("was not done, where the connection is lost alone", () =>
    Effect.gen(function* () {
      const { claim } = yield* withoutCommit(() => Effect.void)
      expect(yield* claim).toHaveLength(1)
    })
  )
})

it.scopedLive(
  "marks are a row for each process, and those of a day ago go when the next one starts",
  () =>
    Effect.gen(function* () {
      const database = yield* Postgres.database
      const marks = () =>
        Effect.map(
          Postgres.execute(`SELECT slot FROM "${database.schema}".workflow_commits`),
          ({ rows }) => rows.map(({ slot }) => slot)
        )
      const register = (store: RunStore["Type"]) =>
        store.register({ host: "here", pid: 42, leaseMillis: 60_000 })
      const store = yield* Postgres.open(database)
      for (let n = 0; n < 5; n++) yield* register(store)
      const [old, ...others] = yield* marks()
      expect(others).toEqual([])
      yield* Postgres.execute(`UPDATE "${database.schema}".workflow_commits SET at = at - 86401000`)
      yield* register(yield* Postgres.open(database))
      const now = yield* marks()
      expect(now).toHaveLength(1)
      expect(now).not.toContain(old)
      // who is still there makes its own again
      yield* register(store)
      expect(yield* marks()).toContain(old)
    })
)
