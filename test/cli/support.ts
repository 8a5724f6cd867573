/** The command as a process. */
import { fileURLToPath } from "node:url"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Process from "../support/Executor.js"

const bin = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What runs it, before `node`. */
  readonly before?: ReadonlyArray<string>
}

/** A command, run to its end. */
export const command = (
  args: ReadonlyArray<string>,
  { before = [], env = {} }: CommandOptions = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const ran = yield* Process.start({
        command: [...before, process.execPath, bin, ...args],
        env
      })
      const { code } = yield* ran.exited
      // no traces, in what a person is to read
      expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at /m)
      return { code, out: ran.stdout, err: ran.stderr }
    })
  )

export const decode = <A, I>(schema: Schema.Schema<A, I>, json: string): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(json)
