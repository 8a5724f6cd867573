/** Where an answer does not arrive. */
import { existsSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Process from "../support/Executor.js"
import { command } from "./support.js"

const secret = { AUTH_SECRET: Process.secret }

const inShell = (line: string, args: ReadonlyArray<string>) =>
  command(args, { env: secret, before: ["bash", "-o", "pipefail", "-c", line] })

describe("an answer", () => {
  for (const args of [["token"], ["--help"], ["--completions", "bash"]]) {
    it.runIf(existsSync("/dev/full"))(`that cannot be written is none: ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        const { code, err } = yield* inShell('"$0" "$@" > /dev/full', args)
        expect(code).toBe(1)
        expect(err).toMatch(/^The answer cannot be written to standard output: ENOSPC: .*\n$/)
      }).pipe(Effect.runPromise)
    )

    it.scopedLive(`that nobody reads to its end was read enough: ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        expect(yield* inShell('"$0" "$@" | :', args)).toEqual({ code: 0, out: "", err: "" })
      })
    )
  }
})
