/** The executors of a campaign: some at a time, each replaced when it is gone. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Process from "../support/Executor.js"
import type { Departure } from "./Gaps.js"
import type { Thaw } from "./Verdict.js"
import { type Disturbance, randomOf } from "./Work.js"

/** What is between an executor and its database. */
export interface Network {
  readonly env: Readonly<Record<string, string>>
  /** Nothing goes through any more, and nothing is closed. */
  readonly swallow: () => void
  /** All goes through again, over connections that are made anew. */
  readonly restore: () => void
}

interface Member {
  readonly executor: Process.Executor
  readonly network: Network | undefined
  state: "starting" | "ready" | "frozen" | "leaving"
}

export interface Answer {
  readonly status: number
  readonly body: unknown
}

export interface Fleet {
  /** Asks executors until one answers with one of these; they are killed meanwhile. */
  readonly ask: (
    method: "GET" | "POST",
    path: string,
    body: unknown,
    statuses: ReadonlyArray<number>
  ) => Effect.Effect<Answer>
  /** Waits until two are ready, so that one may be hit. */
  readonly isComplete: Effect.Effect<void>
  readonly disturb: (disturbance: Disturbance) => Effect.Effect<void>
  readonly pids: () => ReadonlyArray<number>
  /** When frozen executors went on. */
  readonly thaws: ReadonlyArray<Thaw>
  /** When executors were told to end. */
  readonly departures: ReadonlyArray<Departure>
  /** How many executors have lost their runs to others, and lived. */
  readonly leasesLost: () => number
  /** Waits for what is under way, and drains all of them. */
  readonly close: Effect.Effect<void>
  /** Executors that did not end as they should. */
  readonly faults: ReadonlyArray<string>
  /** Executors whose drain came while their database was away, and that said that by their code. */
  readonly cutOff: () => number
}

/** Microseconds, on the clock of what the steps say. */
const now = () => Number(process.hrtime.bigint() / 1_000n)

/** How long an executor may take to answer, of which a frozen one does nothing. */
const patience = "3 seconds"

export const make = (options: {
  readonly size: number
  readonly seed: number
  /** Of each executor's lease, which freezes and black holes outlast. */
  readonly leaseMillis: number
  readonly start: Process.StartOptions
  /** Of each executor, where there is one. */
  readonly network?: Effect.Effect<Network, never, Scope.Scope> | undefined
  /** Ends the server of the database, and lets it come up again. */
  readonly restart?: Effect.Effect<void> | undefined
  /** What is done when a process is over. */
  readonly onGone: (executor: Process.Executor) => Effect.Effect<unknown>
}): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { leaseMillis } = options
    const scope = yield* Effect.scope
    const random = randomOf(options.seed + 2)
    const members = new Set<Member>()
    const faults: Array<string> = []
    const thaws: Array<Thaw> = []
    const departures: Array<Departure> = []
    /** Disturbances that are not over. */
    const pending = new Set<object>()
    let leasesLost = 0

    /** How often a database was away, and whether one is now. */
    const outages = { begun: 0, under: 0 }
    let cutOff = 0

    const startOne: Effect.Effect<void> = Effect.gen(function* () {
      const seen = outages.begun
      const network =
        options.network === undefined
          ? undefined
          : yield* Effect.provideService(options.network, Scope.Scope, scope)
      const env = {
        ...options.start.env,
        ...network?.env,
        LEASE_DURATION: `${leaseMillis} millis`
      }
      const wasAway = outages.under > 0
      const executor = yield* Process.start({ ...options.start, env }).pipe(Scope.extend(scope))
      const member: Member = { executor, network, state: "starting" }
      members.add(member)
      const ready = yield* Effect.exit(executor.ready)
      if (ready._tag === "Success") {
        member.state = "ready"
        return
      }
      members.delete(member)
      if (!wasAway && seen === outages.begun) return yield* ready
      // a supervisor would start it again, too
      yield* Effect.sleep("200 millis")
      yield* startOne
    })

    const away = (effect: Effect.Effect<void>) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          outages.begun++
          outages.under++
        }),
        () => effect,
        () =>
          Effect.sync(() => {
            outages.under--
          })
      )

    const ready = () => [...members].filter(({ state }) => state === "ready")

    const pick = (): Member | undefined => {
      const candidates = ready()
      return candidates[Math.floor(random() * candidates.length)]
    }

    const gone = (member: Member) =>
      Effect.suspend(() => {
        members.delete(member)
        leasesLost += member.executor.logs.filter(({ message }) =>
          message.startsWith("lease lost")
        ).length
        return options.onGone(member.executor)
      })

    const leaves = (member: Member, signal: Departure["signal"]) =>
      Effect.gen(function* () {
        member.state = "leaving"
        departures.push({ pid: member.executor.pid, signal, at: now() })
        const seen = outages.begun
        const wasAway = outages.under > 0
        const { code, signal: by } = yield* member.executor.stop(signal)
        yield* gone(member)
        const expected = signal === "SIGKILL" ? by === "SIGKILL" : code === 0
        if (
          !expected &&
          signal === "SIGTERM" &&
          code === 1 &&
          (wasAway || seen !== outages.begun)
        ) {
          cutOff++
        } else if (!expected) {
          faults.push(`pid ${member.executor.pid}: ${signal} and then ${code ?? by}`)
          yield* Effect.logError(member.executor.stdout.slice(-4_000))
        }
      })

    const freezes = (member: Member) =>
      Effect.gen(function* () {
        member.state = "frozen"
        yield* member.executor.kill("SIGSTOP")
        // the lease itself, and as long as others may take to look
        yield* Effect.sleep(leaseMillis * (1.1 + random()))
        thaws.push({ pid: member.executor.pid, at: now() })
        yield* member.executor.kill("SIGCONT")
        member.state = "ready"
      })

    const swallows = (member: Member) =>
      away(
        Effect.gen(function* () {
          member.state = "frozen"
          member.network?.swallow()
          yield* Effect.sleep(leaseMillis * (1.5 + random()))
          member.network?.restore()
          if (member.state === "frozen") member.state = "ready"
        })
      )

    const rolling = yield* Effect.makeSemaphore(1)

    /** The new one is there before the old one leaves: always one for one, whatever else hits them. */
    const replaces = (member: Member) =>
      Effect.gen(function* () {
        // who is on its way has a successor already
        if (member.state !== "ready") return
        yield* startOne
        // it may have been hit meanwhile
        const old = member.state === "ready" ? member : pick()
        if (old !== undefined) yield* leaves(old, "SIGTERM")
      })

    const roll = rolling.withPermits(1)(
      Effect.suspend(() => Effect.forEach(ready(), replaces, { discard: true }))
    )

    const inBackground = (effect: Effect.Effect<void>) =>
      Effect.suspend(() => {
        const one = {}
        pending.add(one)
        const ended = Effect.ensuring(
          effect,
          Effect.sync(() => pending.delete(one))
        )
        return Effect.asVoid(Effect.forkIn(ended, scope))
      })

    const disturb: Fleet["disturb"] = (disturbance) =>
      Effect.suspend(() => {
        const member = pick()
        if (member === undefined) return Effect.void
        switch (disturbance) {
          case "freeze":
            return inBackground(freezes(member))
          case "hole":
            return inBackground(swallows(member))
          case "reset":
            return Effect.sync(() => member.network?.restore())
          case "roll":
            return inBackground(roll)
          case "restart":
            return inBackground(away(options.restart ?? Effect.void))
        }
        const left = leaves(member, disturbance === "kill" ? "SIGKILL" : "SIGTERM")
        return inBackground(Effect.zipRight(left, startOne))
      })

    const until = (holds: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() =>
        holds() ? Effect.void : Effect.zipRight(Effect.sleep("10 millis"), until(holds))
      )

    const ask: Fleet["ask"] = (method, path, body, statuses) =>
      Effect.gen(function* () {
        while (true) {
          const executor = pick()?.executor
          // one that was killed or frozen meanwhile does not answer
          const answer = yield* Effect.suspend(() =>
            executor === undefined ? Effect.fail("nobody") : executor.request(method, path, body)
          ).pipe(Effect.sandbox, Effect.timeout(patience), Effect.option)
          if (Option.isSome(answer) && statuses.includes(answer.value.status)) return answer.value
          yield* Effect.sleep("20 millis")
        }
      })

    yield* Effect.all(
      Array.from({ length: options.size }, () => startOne),
      { concurrency: "unbounded" }
    )
    return {
      ask,
      isComplete: until(() => ready().length >= 2),
      disturb,
      pids: () => [...members].map(({ executor }) => executor.pid),
      leasesLost: () => leasesLost,
      close: Effect.zipRight(
        until(() => pending.size === 0),
        Effect.suspend(() =>
          Effect.forEach(members, (member) => leaves(member, "SIGTERM"), {
            concurrency: "unbounded",
            discard: true
          })
        )
      ),
      faults,
      cutOff: () => cutOff,
      departures,
      thaws
    }
  })
