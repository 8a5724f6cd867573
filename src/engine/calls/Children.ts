/** The call by which a workflow executes another one, as a child of its run. */
import type * as Workflow from "@effect/workflow/Workflow"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Effect from "effect/Effect"
import { isFinal, type Json } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import type { Link } from "../pass/Pass.js"
import type * as Waits from "../pass/Waits.js"
import { childKey } from "../run/ActiveRun.js"
import {
  type AnyFiber,
  type Calls,
  currentFiber,
  inside,
  isReplayOnly,
  stay,
  unknown,
  wait
} from "./Call.js"
import type { Execution, ToNewRun } from "./NewRuns.js"

export const make = ({ asHolder, block, dispatcher }: Calls, newRun: ToNewRun) => {
  /** Starts the child, unless the run has done so already. */
  const beginChild = Effect.fnUntraced(function* (
    workflow: Workflow.Any,
    options: Execution,
    link: Link,
    fiber: AnyFiber
  ) {
    const { run } = link
    const runId = options.executionId
    const awaits = options.discard !== true
    if (!awaits) run.setDiscarded(runId, true)
    // one that was discarded before it is awaited does not wake its parent yet
    const unlinked = awaits && run.discarded.has(runId) && run.children.get(runId) === undefined
    if (run.children.has(runId) && (!unlinked || run.interrupting)) return
    const refused = () => isReplayOnly(link) || dispatcher.gate.refuses(run)
    if (refused()) return yield* stay(link, fiber)
    const child = yield* newRun(workflow, options)
    if (run.isSuspended) yield* dispatcher.runs.activate(run)
    if (refused() || link.pass.ended !== undefined) return yield* stay(link, fiber)
    dispatcher.runs.awaitChild(run, runId)
    const created = yield* asHolder(link, fiber, () =>
      dispatcher.startChild({ ...child, parent: { runId: run.runId, awaits } }, run.held)
    )
    const exit = isFinal(created.status) ? created.exit : undefined
    if (!run.children.has(runId) || exit !== undefined) run.setChild(runId, exit)
    // of one that was over before no commit tells
    if (exit !== undefined) dispatcher.runs.childFinished(runId, exit)
    if (awaits) run.setDiscarded(runId, false)
  })

  return Effect.fnUntraced(function* (workflow: Workflow.Any, options: Execution, link: Link) {
    const { pass, run } = link
    const runId = options.executionId
    const fiber = yield* currentFiber
    const instance = yield* WorkflowInstance
    if (runId === run.runId && options.discard !== true) {
      return yield* Effect.dieMessage(
        `run ${runId} of workflow "${workflow.name}" awaits itself, which would never end`
      )
    }
    const begin = inside(link, fiber, beginChild(workflow, options, link, fiber))
    const key = childKey(runId)
    const inner = link.nested || instance !== pass.instance
    if (options.discard === true) {
      yield* begin
      if (link.nested) run.setInner(key)
      pass.reach(key)
      return runId
    }
    const childLook: Waits.Look<Json> = () => {
      const exit = run.children.get(runId)
      return exit === undefined ? unknown : { _tag: "There", value: exit }
    }
    yield* begin
    const exit = yield* inside(link, fiber, wait(link, fiber, key, childLook))
    if (inner) run.setInner(key)
    pass.reach(key)
    const decoded = yield* Effect.catchAll(Codec.exitFromJson(workflow, exit), (error) =>
      block(link, fiber, `the result of child ${runId}`, error)
    )
    return yield* decoded
  })
}
