import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as RunnerConfig from "../../src/engine/RunnerConfig.js"
import * as Variable from "../../src/internal/Variable.js"
import * as Settings from "../../src/Settings.js"

const read = (environment: Readonly<Record<string, string>>) =>
  Settings.read.pipe(
    Effect.mapError(Variable.describe),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
    Effect.either
  )

const settings = (environment: Readonly<Record<string, string>>) =>
  Effect.map(read(environment), Either.getOrThrow)

const errors = (environment: Readonly<Record<string, string>>) =>
  Effect.map(read(environment), (result) => (Either.isLeft(result) ? result.left : []))

describe("Settings", () => {
  it.effect("has a default for every variable; one that is empty counts as not set", () =>
    Effect.gen(function* () {
      const names = ["DATABASE_FILE", "HOST", "PORT", "AUTH_SECRET", "STOP_TIMEOUT", "LOG_LEVEL"]
      for (const environment of [{}, Object.fromEntries(names.map((name) => [name, " "]))]) {
        expect(yield* settings({ ...environment, LOG_FORMAT: "json" })).toEqual({
          database: { _tag: "File", file: "data/executor.db" },
          host: "127.0.0.1",
          port: 3400,
          authSecret: undefined,
          runner: RunnerConfig.defaults,
          log: { level: undefined, format: "json" }
        })
      }
    })
  )

  it.effect("reads every variable", () =>
    Effect.gen(function* () {
      const read = yield* settings({
        DATABASE_FILE: "/var/lib/x.db",
        HOST: "::",
        PORT: "0",
        AUTH_SECRET: " with blanks ",
        STACKS_FOR_READERS: "true",
        VALUES_FOR_READERS: "false",
        STOP_TIMEOUT: "2 minutes",
        LEASE_DURATION: "1 second",
        MAX_CONCURRENT_RUNS: "7",
        MAX_CONCURRENT_STEPS: "8",
        MAX_CRASHES: "4",
        MAX_VALUE_SIZE: "4096",
        RETENTION: "30 days",
        RETENTION_COUNT: "0",
        SIGNAL_RETENTION: "2 days",
        LOG_LEVEL: "debug",
        LOG_FORMAT: "Pretty"
      })
      expect(read).toMatchObject({
        database: { _tag: "File", file: "/var/lib/x.db" },
        host: "::",
        port: 0,
        stacksForReaders: true,
        valuesForReaders: false,
        runner: {
          maxConcurrentRuns: 7,
          maxConcurrentSteps: 8,
          maxCrashes: 4,
          maxValueSize: 4096,
          retentionCount: 0
        },
        log: { level: LogLevel.Debug, format: "pretty" }
      })
      expect(Duration.toMillis(read.runner.stopTimeout)).toBe(120_000)
      expect(Duration.toMillis(read.runner.leaseDuration)).toBe(1_000)
      expect(Duration.toDays(read.runner.retention)).toBe(30)
      expect(Duration.toDays(read.runner.signalRetention)).toBe(2)
      // blanks may be part of a secret
      expect(read.authSecret?.map(Redacted.value)).toEqual([" with blanks "])
    })
  )

  it.effect("sets no run aside where MAX_CRASHES is off", () =>
    Effect.gen(function* () {
      expect((yield* settings({})).runner.maxCrashes).toBe(3)
      const { runner } = yield* settings({ MAX_CRASHES: "Off" })
      expect(runner.maxCrashes).toBe(Number.POSITIVE_INFINITY)
    })
  )

  it.effect("names the variable, the value and what is allowed", () =>
    Effect.gen(function* () {
      const refused: ReadonlyArray<readonly [name: string, values: ReadonlyArray<string>]> = [
        ["HOST", ["http://a", "a b", "a:80", "256.0.0.1", "-a"]],
        ["PORT", ["-1", "65536", "3400.5", "1e3", "0x10", "http"]],
        ["STOP_TIMEOUT", ["30", "30s", "-1 seconds", "infinity", "soon", "30 seconds please"]],
        ["LEASE_DURATION", ["0", "999 millis", "15s", "infinity"]],
        ["MAX_CONCURRENT_RUNS", ["0", "-1", "1.5", "all"]],
        ["MAX_CONCURRENT_STEPS", ["0", "-1", "1.5", "99999999999999999999"]],
        ["MAX_CRASHES", ["0", "2", "3.5", "none", "Infinity"]],
        ["MAX_VALUE_SIZE", ["0", "1023", "1.5", "2 MiB", "536870913"]],
        ["RETENTION", ["0", "30", "999 millis", "infinity"]],
        ["RETENTION_COUNT", ["-1", "1.5", "all"]],
        ["SIGNAL_RETENTION", ["0", "7", "999 millis", "infinity"]],
        ["LOG_LEVEL", ["loud"]],
        ["LOG_FORMAT", ["xml"]]
      ]
      for (const [name, values] of refused) {
        for (const value of values) {
          const [error, ...more] = yield* errors({ [name]: value })
          expect(error, `${name}=${value}`).toMatch(
            /^[A-Z_]+( \(option --[a-z-]+\))? is ".*"; expected /
          )
          expect(error?.startsWith(`${name} `)).toBe(true)
          expect(error).toContain(JSON.stringify(value))
          expect(more).toEqual([])
        }
      }
    })
  )

  it.effect("takes durations as people write them", () =>
    Effect.gen(function* () {
      const durations = { "0": 0, "0 seconds": 0, "500 millis": 500, " 30  Seconds ": 30_000 }
      for (const [text, millis] of Object.entries(durations)) {
        const { runner } = yield* settings({ STOP_TIMEOUT: text })
        expect(Duration.toMillis(runner.stopTimeout)).toBe(millis)
      }
    })
  )

  it.effect("tells all that is wrong at once", () =>
    Effect.gen(function* () {
      const wrong = { PORT: "x", STOP_TIMEOUT: "x", MAX_CONCURRENT_RUNS: "x", LOG_LEVEL: "x" }
      const names = (yield* errors(wrong)).map((error) => error.split(" ")[0])
      expect(names.sort()).toEqual(Object.keys(wrong).sort())
    })
  )

  it.effect("accepts more secrets than the one that signs", () =>
    Effect.gen(function* () {
      const accepted: ReadonlyArray<readonly [text: string, secrets: ReadonlyArray<string>]> = [
        [" ", []],
        ["old", ["old"]],
        ["old, older", ["old", "older"]],
        ['["a, b", "c"]', ["a, b", "c"]]
      ]
      for (const [AUTH_SECRETS_ACCEPTED, secrets] of accepted) {
        const { authSecret } = yield* settings({ AUTH_SECRET: "new", AUTH_SECRETS_ACCEPTED })
        expect(authSecret?.map(Redacted.value)).toEqual(["new", ...secrets])
      }
    })
  )

  it.effect("refuses accepted secrets that are no list, or have none before them that signs", () =>
    Effect.gen(function* () {
      for (const AUTH_SECRETS_ACCEPTED of ["hush,", '["hush"', "[1]"]) {
        expect(yield* errors({ AUTH_SECRET: "new", AUTH_SECRETS_ACCEPTED })).toEqual([
          "AUTH_SECRETS_ACCEPTED is <hidden>; expected secrets separated by commas, or a JSON array of strings"
        ])
      }
      expect(yield* errors({ AUTH_SECRETS_ACCEPTED: "hush" })).toEqual([
        expect.stringMatching(
          /^AUTH_SECRET is not set, and AUTH_SECRETS_ACCEPTED is; expected (?!.*hush)/
        )
      ])
    })
  )

  it.effect("asks for a secret where other machines can reach the executor", () =>
    Effect.gen(function* () {
      for (const HOST of ["0.0.0.0", "::", "example.org"]) {
        expect(yield* errors({ HOST })).toEqual([expect.stringContaining("AUTH_SECRET is not set")])
        expect(yield* errors({ HOST, AUTH_SECRET: "s" })).toEqual([])
      }
      for (const HOST of ["localhost", "::1", "127.0.0.2"]) {
        expect(yield* errors({ HOST })).toEqual([])
      }
    })
  )
})
