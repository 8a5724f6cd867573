/** The command as a process. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Process from "../support/Executor.js"

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What runs it, before `node`. */
  readonly before?: ReadonlyArray<string>
  /** It is asked for where an error came from. Default: false. */
  readonly traces?: boolean
}

/** A command, begun. */
export const begin = (
  args: ReadonlyArray<string>,
  { before = [], env = {} }: CommandOptions = {}
) => Process.start({ command: [...before, process.execPath, Process.bin, ...args], env })

/** A command, run to its end. */
export const command = (args: ReadonlyArray<string>, options: CommandOptions = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const ran = yield* begin(args, options)
      const { code } = yield* ran.exited
      // no traces, in what a person is to read
      if (options.traces !== true) expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at /m)
      return { code, out: ran.stdout, err: ran.stderr }
    })
  )

export const decode = <A, I>(schema: Schema.Schema<A, I>, json: string): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(json)
