/** The errors of `Runs`, with what they say. */
import {
  NotResumable,
  NotRetryable,
  PayloadDiffers,
  RunExists,
  RunFinished,
  RunNotFinished,
  RunNotFound,
  StepNotFound,
  UnknownSignal,
  UnknownWorkflow
} from "../api/Errors.js"
import type { StepRequest } from "../api/Requests.js"
import type { RunStatus, WithFinished } from "../store/RunStore.js"

export const notResumable = (runId: string, status: RunStatus) =>
  new NotResumable({
    runId,
    status,
    message: `Run ${JSON.stringify(runId)} cannot be resumed: it is ${status}${
      status === "completed" ? "" : "; retry it to let it go on"
    }`
  })

export const runExists = (runId: string, status: RunStatus, onConflict: "fail" | "replace") =>
  new RunExists({
    runId,
    status,
    message: `There is a run ${JSON.stringify(runId)}, which is ${status}${
      onConflict === "fail" ? "" : "; only one that has not begun can be replaced"
    }`
  })

export const payloadDiffers = (runId: string, status: RunStatus) =>
  new PayloadDiffers({
    runId,
    status,
    message: `There is a run ${JSON.stringify(runId)}, which is ${status}, with another payload; say ignorePayload to use it all the same`
  })

export const unknownWorkflow = (workflow: string, registered: ReadonlyArray<string>) =>
  new UnknownWorkflow({
    workflow,
    registered,
    message: `Workflow ${JSON.stringify(workflow)} is not registered here; registered: ${
      registered.length === 0 ? "none" : registered.join(", ")
    }`
  })

export const unknownSignal = (workflow: string, name: string, declared: ReadonlyArray<string>) =>
  new UnknownSignal({
    name,
    declared,
    message: `Workflow ${JSON.stringify(workflow)} has no signal ${JSON.stringify(name)}; it declares ${declared.join(", ")}`
  })

export const runNotFound = (runId: string) =>
  new RunNotFound({ runId, message: `There is no run ${JSON.stringify(runId)}` })

export const stepNotFound = ({ attempt, name, runId }: StepRequest) =>
  new StepNotFound({
    runId,
    name,
    attempt,
    message: `Run ${JSON.stringify(runId)} has no attempt ${attempt} of a step ${JSON.stringify(name)}`
  })

export type Refused = Extract<WithFinished, { readonly _tag: "Refused" }>

/** Without the run, so that many are told of together. */
export const whyNotRetried = ({ because, status }: Refused): string => {
  switch (because) {
    case "status":
      return `it is ${status}; only a failed or an interrupted run can be retried${
        status === "suspended" ? ", a suspended one resumed" : ""
      }`
    case "compensated":
      return "its compensations were executed: what it had done is undone, and is not done again"
    case "terminated":
      return "it was terminated: what it had done is neither finished nor undone, and nobody knows how far it was"
    case "parent":
      return "a run that started it is not over, and goes on from what it came to"
    case "child":
      return "a run that it had started was deleted, and would begin anew"
    case "failed child":
      return "it would fail by that child again; retry it with its children, or the child first"
    case "too many":
      return "more than 1,000 runs would have to be retried with it; retry its children first"
  }
}

const whoseRetry = ({ because, runId }: Refused): string => {
  if (runId === undefined) return ""
  const child = `child ${JSON.stringify(runId)}`
  return because === "failed child"
    ? `its ${child} has failed or was interrupted: `
    : `its ${child}, which is to be retried with it, cannot be: `
}

export const notRetryable = (runId: string, refused: Refused) =>
  new NotRetryable({
    runId,
    status: refused.status,
    message: `Run ${JSON.stringify(runId)} cannot be retried: ${whoseRetry(refused)}${whyNotRetried(refused)}`
  })

export const runFinished = (runId: string, status: RunStatus) =>
  new RunFinished({
    runId,
    status,
    message: `Run ${JSON.stringify(runId)} is ${status}; only a run that is not over can be terminated`
  })

export const whyNotRemoved = ({ because, status }: Refused): string =>
  because === "status"
    ? `it is ${status}; only a run that is over can be deleted`
    : "a run that started it is not over"

export const runNotFinished = (runId: string, { because, status }: Refused) =>
  new RunNotFinished({
    runId,
    status,
    message:
      because === "status"
        ? `Run ${JSON.stringify(runId)} is ${status}; only a run that is over can be deleted`
        : `Run ${JSON.stringify(runId)} cannot be deleted: a run that started it is not over`
  })
