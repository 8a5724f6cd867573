/** One row of the timeline in full: the attempts of a step, with what each came to. */
import { useState } from "preact/hooks"
import type { StepView } from "../../api/RunView.js"
import { now, useAsked } from "../Hooks.js"
import { Json } from "../parts/Json.js"
import { Problem } from "../parts/Problem.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { duration, millisOf } from "../parts/Words.js"
import { step as askStep } from "../server/Server.js"

export const StepDetails = ({
  attempts,
  name,
  runId
}: {
  readonly runId: string
  readonly name: string
  /** Of one step, in the order in which they started. */
  readonly attempts: ReadonlyArray<StepView>
}) => {
  const [chosen, setChosen] = useState<number | undefined>(undefined)
  const attempt = attempts.find((one) => one.attempt === chosen) ?? attempts.at(-1)
  if (attempt === undefined) return null
  return (
    <section class="card" aria-label={`Step ${name}`}>
      <h3 class="text">{name}</h3>
      {attempts.length < 2 ? null : (
        <div class="field">
          <label for="attempt">Attempt</label>
          <select
            id="attempt"
            value={attempt.attempt}
            onChange={(event) => setChosen(Number(event.currentTarget.value))}
          >
            {attempts.map((one) => (
              <option key={one.attempt} value={one.attempt}>
                {one.attempt}: {one.status}
              </option>
            ))}
          </select>
        </div>
      )}
      <dl class="facts">
        <dt>Status</dt>
        <dd>
          <Status status={attempt.status} />
        </dd>
        {attempt.compensation === true ? (
          <>
            <dt>Part of</dt>
            <dd>what was done to undo the run</dd>
          </>
        ) : null}
        <dt>Started</dt>
        <dd>
          <When at={attempt.startedAt} />
        </dd>
        <dt>{attempt.completedAt === undefined ? "Takes so far" : "Took"}</dt>
        <dd>
          {duration(
            (attempt.completedAt === undefined ? now.value : millisOf(attempt.completedAt)) -
              millisOf(attempt.startedAt)
          )}
        </dd>
      </dl>
      <Outcome key={`${attempt.attempt} ${attempt.status}`} runId={runId} step={attempt} />
    </section>
  )
}

/** Asked for by itself: lists leave out what is large, and events all of it. */
const Outcome = ({ runId, step }: { readonly runId: string; readonly step: StepView }) => {
  const { attempt, name } = step
  const isTold = step.result !== undefined || step.error !== undefined
  return step.status === "running" ? null : step.hidden === true ? (
    <p class="muted">What it came to is hidden from this token.</p>
  ) : isTold && step.leftOut === undefined ? (
    <Told step={step} />
  ) : (
    <Whole runId={runId} name={name} attempt={attempt} />
  )
}

const Whole = (request: {
  readonly runId: string
  readonly name: string
  readonly attempt: number
}) => {
  const { again, problem, value } = useAsked(`step ${JSON.stringify(request)}`, () =>
    askStep(request)
  )
  if (problem !== undefined) return <Problem problem={problem} again={again} />
  return value === undefined ? <p class="muted">Reading</p> : <Told step={value} />
}

const Told = ({ step }: { readonly step: StepView }) => (
  <>
    {step.error === undefined ? null : (
      <>
        <h4>Error</h4>
        <p class="text error-text">{step.error.message}</p>
        <Json name="error" value={step.error} />
      </>
    )}
    {step.result === undefined ? null : (
      <>
        <h4>Result</h4>
        <Json name="result" value={step.result} />
      </>
    )}
    {step.result === undefined && step.error === undefined ? (
      <p class="muted">It returned nothing.</p>
    ) : null}
  </>
)
