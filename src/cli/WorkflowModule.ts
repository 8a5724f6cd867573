/**
 * The module that a command is given: it registers workflows.
 *
 * It gets the very same instances of `effect`, `@effect/workflow` and this package as the command
 * when it resolves them to the same files; TypeScript is translated by jiti, which imports packages
 * as Node does.
 */

import { readFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { createRequire } from "node:module"
import { resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { WorkflowEngine } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { createJiti } from "jiti"

/** The module cannot be used; the message names it and says what is wrong. */
export class WorkflowModuleError extends Data.TaggedError("WorkflowModuleError")<{
  readonly module: string
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message() {
    return `${this.module}: ${this.reason}`
  }
}

/** A Layer that registers workflows (`Workflow.toLayer`), with all they need but the executor. */
export type Workflows = Layer.Layer<never, unknown, WorkflowEngine.WorkflowEngine>

/** Comes with the package. */
export const bundledExample = fileURLToPath(new URL("../../examples/order.ts", import.meta.url))

const isTypeScript = /\.[cm]?tsx?$/
const looksLikeFile = /^\.|^\/|\.[cm]?[jt]sx?$|\\/

const jiti = createJiti(import.meta.url, { interopDefault: false })

const isFile = (path: string) =>
  Effect.match(
    Effect.tryPromise(() => stat(path)),
    {
      onFailure: () => undefined,
      onSuccess: (stats) => stats.isFile()
    }
  )

/** The module's file: a path, or the name of a package that the working directory can import. */
const locate = Effect.fnUntraced(function* (module: string) {
  const path = resolve(module)
  const found = yield* isFile(path)
  if (found === true) return path
  const failed = (reason: string) => new WorkflowModuleError({ module: path, reason })
  if (looksLikeFile.test(module)) {
    return yield* failed(found === undefined ? "there is no such file" : "it is not a file")
  }
  return yield* Effect.try({
    try: () =>
      fileURLToPath(
        jiti.esmResolve(module, { parentURL: pathToFileURL(resolve("package.json")).href })
      ),
    catch: () =>
      failed(
        `${found === undefined ? "there is no such file" : "it is not a file"}, and no package "${module}" can be imported from here`
      )
  })
})

const evaluate = (path: string) =>
  Effect.tryPromise({
    try: (): Promise<unknown> =>
      isTypeScript.test(path) ? jiti.import(path) : import(pathToFileURL(path).href),
    catch: (error) => error
  }).pipe(
    Effect.catchAll((cause) =>
      Effect.fail(
        new WorkflowModuleError({
          module: path,
          reason: `it cannot be loaded: ${why(cause, path)}`,
          cause
        })
      )
    )
  )

/** What was thrown, in one line, and where in the user's code. */
const why = (cause: unknown, path: string): string => {
  if (!(cause instanceof Error)) return String(cause)
  const message = cause.message.replace(/\s*\n\s*/g, " ")
  const place = cause instanceof SyntaxError ? syntaxErrorOf(path) : placeOf(cause)
  return `${cause.name}: ${message}${place === undefined ? "" : ` (${place})`}`
}

/** The first of the user's lines in a trace. */
const placeOf = (error: Error) =>
  error.stack
    ?.split("\n")
    .find((line) => /^\s+at .*(file:\/\/|\/)/.test(line) && !/node:|\/node_modules\//.test(line))
    ?.trim()
    .replace(/^at /, "")

/** Node does not say where in an ES module it met a syntax error; jiti does. */
const syntaxErrorOf = (path: string): string | undefined => {
  const translated = jiti.transform({
    source: readFileSync(path, "utf8"),
    filename: path,
    async: true
  })
  const [, line, column] = /__JITI_ERROR__ = .*"line":(\d+),"column":(\d+)/.exec(translated) ?? []
  return line === undefined ? undefined : `${path}:${line}:${column}`
}

const isWorkflows = (value: unknown): value is Workflows => Layer.isLayer(value)

const workflowsOf = (path: string, module: unknown) => {
  const failed = (reason: string) => new WorkflowModuleError({ module: path, reason })
  const expected = "expected a Layer that registers workflows, as made by Workflow.toLayer"
  // an `export default` that is undefined is none
  const exported = Predicate.hasProperty(module, "default") ? module.default : undefined
  if (exported === undefined) return failed(`it has no default export; ${expected}`)
  return isWorkflows(exported)
    ? Effect.succeed(exported)
    : failed(`its default export is ${describe(exported)}; ${expected}`)
}

const describe = (value: unknown): string => {
  if (value === null) return "null"
  if (Effect.isEffect(value)) return "an Effect"
  if (Context.isTag(value)) return `the Tag ${value.key}`
  if (typeof value === "function") return "a function"
  if (Array.isArray(value)) return "an array"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

/** Packages of which a second copy would be another world: its services are not found. */
const shared = ["effect", "@effect/workflow"]

/** Says so when the module would import other copies of packages than this command. */
const warnOfCopies = (path: string) =>
  Effect.forEach(
    shared,
    (name) => {
      const [ours, theirs] = [fileURLToPath(import.meta.url), path].map((from) => {
        try {
          return createRequire(from).resolve(`${name}/package.json`)
        } catch {
          return undefined
        }
      })
      return ours === theirs || theirs === undefined
        ? Effect.void
        : Effect.logWarning(
            `${path} imports another copy of ${name} than this command: install effect-workflow-executor beside it`
          ).pipe(Effect.annotateLogs({ command: ours, module: theirs }))
    },
    { discard: true }
  )

/**
 * Loads a module's workflows.
 *
 * @param module a path, relative to the working directory, or the name of a package; without one
 * the bundled example is loaded
 */
export const load = (module: string | undefined): Effect.Effect<Workflows, WorkflowModuleError> =>
  Effect.gen(function* () {
    const path = yield* locate(module ?? bundledExample)
    yield* warnOfCopies(path)
    return yield* workflowsOf(path, yield* evaluate(path))
  })
