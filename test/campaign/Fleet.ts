/** The executors of a campaign: some at a time, each replaced when it is gone. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Process from "../support/Executor.js"
import type { Thaw } from "./Verdict.js"
import { type Disturbance, randomOf } from "./Work.js"

interface Member {
  readonly executor: Process.Executor
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
  /** How many executors have lost their runs to others, and lived. */
  readonly leasesLost: () => number
  /** Waits for what is under way, and drains all of them. */
  readonly close: Effect.Effect<void>
  /** Executors that did not end as they should. */
  readonly faults: ReadonlyArray<string>
}

/** How long an executor may take to answer, of which a frozen one does nothing. */
const patience = "3 seconds"

const leaseMillis = 1_000

export const make = (options: {
  readonly size: number
  readonly seed: number
  readonly start: Process.StartOptions
  /** What is done when a process is over. */
  readonly onGone: (pid: number) => Effect.Effect<unknown>
}): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const random = randomOf(options.seed + 2)
    const members = new Set<Member>()
    const faults: Array<string> = []
    const thaws: Array<Thaw> = []
    /** Disturbances that are not over. */
    const pending = new Set<object>()
    let leasesLost = 0

    const startOne: Effect.Effect<void> = Effect.gen(function* () {
      const env = { ...options.start.env, LEASE_DURATION: `${leaseMillis} millis` }
      const executor = yield* Process.start({ ...options.start, env }).pipe(Scope.extend(scope))
      const member: Member = { executor, state: "starting" }
      members.add(member)
      yield* executor.ready
      member.state = "ready"
    })

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
        return options.onGone(member.executor.pid)
      })

    const leaves = (member: Member, signal: NodeJS.Signals) =>
      Effect.gen(function* () {
        member.state = "leaving"
        const { code, signal: by } = yield* member.executor.stop(signal)
        yield* gone(member)
        const expected = signal === "SIGKILL" ? by === "SIGKILL" : code === 0
        if (!expected) {
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
        thaws.push({
          pid: member.executor.pid,
          at: Number(process.hrtime.bigint() / 1_000n)
        })
        yield* member.executor.kill("SIGCONT")
        member.state = "ready"
      })

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
        if (disturbance === "freeze") return inBackground(freezes(member))
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
      thaws
    }
  })
