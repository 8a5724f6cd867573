/** Programs as workflows, which note what they do. */
import {
  Activity,
  DurableClock,
  DurableDeferred,
  Workflow,
  type WorkflowEngine
} from "@effect/workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Env, step, turns } from "../support.js"
import type { End, Node } from "./Program.js"

/** Who is told what a workflow does. */
export interface Notes {
  /** A step executes; `key` is its name and attempt. */
  readonly executes: (runId: string, key: string) => void
  /** A compensation begins. */
  readonly undoes: (name: string) => void
  /** A handler was given what a branch came to, or what `Effect.exit` found. */
  readonly handles: (at: string, cause: Cause.Cause<unknown>) => void
  /** A signal is awaited. */
  readonly awaits: (signal: Signal) => void
}

export interface Signal {
  readonly workflow: Workflow.Any
  readonly runId: string
  readonly name: string
  readonly how: "succeeds" | "fails"
}

// A program is in its run's payload, and so is all that a replay needs.
const NodeSchema = Schema.declare((value: unknown): value is Node =>
  Predicate.hasProperty(value, "_tag")
)

const workflowOf = <const Name extends string>(name: Name) =>
  Workflow.make({
    name,
    payload: {
      id: Schema.String,
      at: Schema.String,
      node: NodeSchema,
      end: Schema.Literal("succeeds", "fails", "dies")
    },
    success: Schema.String,
    error: Schema.String,
    idempotencyKey: ({ at, id }) => `${id}/${at}`
  })

export const Root = workflowOf("DifferentialRoot")
const Child = workflowOf("DifferentialChild")

export const deferred = (name: string) =>
  DurableDeferred.make(name, { success: Schema.String, error: Schema.String })

/** What a run, or a part of one, came to. */
export const textOf = (exit: Exit.Exit<string, unknown>): string =>
  Exit.match(exit, {
    onSuccess: (text) => `succeeds ${text}`,
    onFailure: (cause) => {
      const failure = Option.getOrUndefined(Cause.failureOption(cause))
      if (failure !== undefined) return `fails ${failure}`
      const defect = Option.getOrUndefined(Cause.dieOption(cause))
      return defect === undefined ? `is interrupted` : `dies ${textOfDefect(defect)}`
    }
  })

const textOfDefect = (defect: unknown) => (defect instanceof Error ? defect.message : `${defect}`)

/** Longer than any test lets pass. */
const never = "100000 days"

type Live = Effect.Effect<string, string, Env | Scope.Scope>

/**
 * The workflows of one process.
 *
 * @param notesOf by the program's id
 */
export const layer = (
  notesOf: (id: string) => Notes | undefined
): Layer.Layer<never, never, WorkflowEngine.WorkflowEngine> => {
  const program = (id: string, runId: string, workflow: Workflow.Any) => {
    const notes = notesOf(id) ?? nobody

    const noted = (
      name: string,
      end: Effect.Effect<string, string> = Effect.succeed(name),
      takes = 1
    ) =>
      step(
        name,
        Effect.gen(function* () {
          notes.executes(runId, `${name}/${yield* Activity.CurrentAttempt}`)
          if (takes > 0) yield* turns(takes - 1)
          return yield* end
        })
      )

    const goOn = (node: Node, at: string): Live => {
      switch (node._tag) {
        case "Step":
          return noted(at, ending(node.how, at), node.takes)
        case "Attempts": {
          const attempt = Effect.flatMap(Activity.CurrentAttempt, (attempt) =>
            attempt > node.failures ? Effect.succeed(at) : Effect.fail(at)
          )
          return Activity.retry(noted(at, attempt), { times: node.times })
        }
        case "Undo": {
          const name = `undo ${at}`
          const undo = Effect.gen(function* () {
            notes.undoes(name)
            if (node.undo === "sleep") yield* DurableClock.sleep({ name, duration: "10 seconds" })
            if (node.undo !== "plain") yield* Effect.orDie(noted(name))
          })
          return noted(at, undefined, node.takes).pipe(Workflow.withCompensation(() => undo))
        }
        case "Plain":
          return Effect.as(plain[node.how], at)
        case "Sleep":
          return Effect.as(
            DurableClock.sleep({
              name: at,
              duration: node.how === "short" ? "10 seconds" : "2 hours"
            }),
            at
          )
        case "Never":
          switch (node.how) {
            case "plain":
              return Effect.never
            case "signal":
              return DurableDeferred.await(deferred(at))
            case "sleep":
              return Effect.as(DurableClock.sleep({ name: at, duration: never }), at)
          }
          break
        case "Signal":
          return Effect.suspend(() => {
            notes.awaits({ workflow, runId, name: at, how: node.how })
            return DurableDeferred.await(deferred(at))
          })
        case "Seq":
          return Effect.map(
            Effect.all(node.nodes.map((inner, n) => goOn(inner, `${at}.${n}`))),
            listed
          )
        case "All": {
          const { concurrency } = node
          return Effect.map(
            node.by === "all"
              ? Effect.all(
                  node.nodes.map((inner, n) => goOn(inner, `${at}.${n}`)),
                  { concurrency }
                )
              : Effect.forEach(node.nodes, (inner, n) => goOn(inner, `${at}.${n}`), {
                  concurrency
                }),
            listed
          )
        }
        case "Race": {
          const left = goOn(node.left, `${at}.l`)
          const right = goOn(node.right, `${at}.r`)
          switch (node.by) {
            case "race":
              return Effect.race(left, right)
            case "raceFirst":
              return Effect.raceFirst(left, right)
            case "durable":
              return DurableDeferred.raceAll({
                name: at,
                success: Schema.String,
                error: Schema.String,
                effects: [left, right]
              })
          }
          break
        }
        case "Timeout":
          return Effect.timeoutFail(goOn(node.node, `${at}.n`), {
            duration: never,
            onTimeout: () => "timed out"
          })
        case "Retry":
          return Effect.suspend(() => {
            let attempts = 0
            const attempt = Effect.suspend(() =>
              ++attempts > node.failures
                ? goOn(node.node, `${at}.n`)
                : noted(`${at}#${attempts}`, Effect.fail(notYet))
            )
            const options = { while: (error: string) => error === notYet }
            return node.delayed
              ? Effect.retry(attempt, { ...options, schedule: Schedule.spaced("5 seconds") })
              : Effect.retry(attempt, options)
          })
        case "Handle":
          return handled(node, at)
        case "Ensuring":
          return Effect.ensuring(
            goOn(node.node, `${at}.n`),
            node.by === "plain" ? Effect.void : Effect.orDie(noted(`finalize ${at}`))
          )
        case "Acquire":
          return Effect.acquireUseRelease(
            node.acquire === "plain" ? Effect.void : noted(`acquire ${at}`),
            () => goOn(node.node, `${at}.n`),
            () => (node.release === "plain" ? Effect.void : Effect.orDie(noted(`release ${at}`)))
          )
        case "ForkScoped": {
          const both = Effect.zipRight(
            Effect.forkScoped(goOn(node.branch, `${at}.b`)),
            goOn(node.node, `${at}.n`)
          )
          return node.own ? both : Effect.scoped(both)
        }
        case "ForkJoin":
          return Effect.gen(function* () {
            const fiber = yield* Effect.fork(goOn(node.branch, `${at}.b`))
            const text = yield* goOn(node.node, `${at}.n`)
            return listed([text, yield* Fiber.join(fiber)])
          })
        case "Child":
          return Child.execute({ id, at: `${at}.c`, node: node.node, end: node.end })
        case "Gate": {
          const gate = deferred(at)
          const giver = goOn(node.giver, `${at}.g`)
          const token = DurableDeferred.tokenFromExecutionId(gate, { workflow, executionId: runId })
          return Effect.map(
            Effect.all(
              [
                node.by === "into"
                  ? DurableDeferred.into(giver, gate)
                  : Effect.tap(giver, (value) => DurableDeferred.succeed(gate, { token, value })),
                Effect.zipRight(DurableDeferred.await(gate), goOn(node.next, `${at}.x`))
              ],
              { concurrency: "unbounded" }
            ),
            listed
          )
        }
      }
    }

    const handled = (node: Extract<Node, { readonly _tag: "Handle" }>, at: string): Live => {
      const inner = goOn(node.node, `${at}.n`)
      const handler = (cause: Cause.Cause<string>) =>
        Effect.suspend(() => {
          notes.handles(at, cause)
          const text = textOf(Exit.failCause(cause))
          return Effect.map(goOn(node.next, `${at}.x`), (next) => `(${text}: ${next})`)
        })
      switch (node.by) {
        case "catchAllCause":
          return Effect.catchAllCause(inner, handler)
        case "catchAll":
          return Effect.catchAll(inner, (error) => handler(Cause.fail(error)))
        case "sandbox":
          return Effect.catchAll(Effect.sandbox(inner), handler)
        case "matchCause":
          return Effect.matchCauseEffect(inner, { onFailure: handler, onSuccess: Effect.succeed })
        case "exit":
          return Effect.flatMap(
            Effect.exit(inner),
            Exit.matchEffect({ onFailure: handler, onSuccess: Effect.succeed })
          )
      }
    }

    return goOn
  }

  const workflow = (definition: typeof Root | typeof Child) =>
    definition.toLayer(({ at, end, id, node }, runId) =>
      Effect.zipLeft(program(id, runId, definition)(node, at), ending(end, `end of ${at}`))
    )

  return Layer.merge(workflow(Root), workflow(Child))
}

const nobody: Notes = {
  executes: () => {},
  undoes: () => {},
  handles: () => {},
  awaits: () => {}
}

const notYet = "not yet"

const ending = (how: End, text: string): Effect.Effect<string, string> => {
  switch (how) {
    case "succeeds":
      return Effect.succeed(text)
    case "fails":
      return Effect.fail(text)
    case "dies":
      return Effect.die(text)
  }
}

const listed = (texts: ReadonlyArray<string>) => `[${texts.join(" ")}]`

const plain = {
  yield: Effect.yieldNow(),
  promise: Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve))),
  key: Activity.idempotencyKey("key")
}
