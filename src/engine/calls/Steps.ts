/** The call by which a workflow executes an activity. */
import type * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import { WorkflowInstance } from "@effect/workflow/WorkflowEngine"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Json } from "../../store/RunStore.js"
import * as Codec from "../../values/Codec.js"
import * as ReservedNames from "../../values/ReservedNames.js"
import { notWellFormed } from "../../values/WellFormed.js"
import type { Link, Pass } from "../pass/Pass.js"
import { stepKey } from "../run/ActiveRun.js"
import type { AfterStep, StepEnd } from "../step/Flight.js"
import { type AnyFiber, type Calls, isReplayOnly, outside, stay } from "./Call.js"
import { isVoid, shortSleep } from "./Timers.js"

/** A step failed whose workflow suspends then: so it does, once nothing else is under way. */
const suspendOnFailure = (pass: Pass, cause: Cause.Cause<never>): void => {
  pass.failure = pass.failure === undefined ? cause : Cause.sequential(pass.failure, cause)
}

/** Answers from the record, or executes the activity and records what it comes to. */
export const make = ({ block, dispatcher, ownLink }: Calls) => {
  const decodeStep = (link: Link, fiber: AnyFiber, activity: Activity.Any, json: Json): StepEnd => {
    const exit = Codec.exitFromJson(activity, json)
    const decoded = Codec.atHand(exit)
    return decoded === undefined
      ? exit.pipe(
          Effect.map((exit) => new Workflow.Complete({ exit })),
          Effect.catchAll((error) =>
            block(link, fiber, `the recorded step "${activity.name}"`, error)
          )
        )
      : Effect.succeed(new Workflow.Complete({ exit: decoded.right }))
  }

  const afterStep: AfterStep = ({ activity, fiber, link }, result) => {
    if (result._tag === "Recorded") {
      return result.read === undefined
        ? decodeStep(link, fiber, activity, result.exit)
        : Effect.succeed(new Workflow.Complete({ exit: result.read }))
    }
    if (result.cause !== undefined) suspendOnFailure(link.pass, result.cause)
    return stay(link, fiber)
  }

  return (activity: Activity.Any, attempt: number) =>
    Effect.withFiberRuntime((fiber, { runtimeFlags }): StepEnd => {
      const instance = Context.unsafeGet(fiber.currentContext, WorkflowInstance)
      const link = ownLink(instance)
      if (link === undefined) return outside(activity.name)
      if (activity.name.startsWith(ReservedNames.timerPrefix)) {
        return isVoid(activity)
          ? shortSleep(link, fiber, activity)
          : Effect.dieMessage(ReservedNames.refusal("an Activity", activity.name))
      }
      const key = stepKey(activity.name, attempt)
      const recorded = link.run.steps.get(key)
      if (recorded !== undefined) {
        if (link.nested) link.run.setInner(key)
        link.pass.reach(key)
        return Effect.zipRight(
          link.run.registration.spans.replayed,
          decodeStep(link, fiber, activity, recorded)
        )
      }
      if (isReplayOnly(link)) return stay(link, fiber)
      const refusal = notWellFormed("step name", activity.name)
      if (refusal !== undefined) return Effect.dieMessage(refusal)
      return dispatcher.steps.execute(
        link,
        fiber,
        runtimeFlags,
        instance,
        activity,
        attempt,
        afterStep
      )
    })
}
