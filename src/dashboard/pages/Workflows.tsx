/** What is registered in the executor that answers. */
import type { PauseView } from "../../api/Pauses.js"
import type { WorkflowView } from "../../api/RunView.js"
import { useAsked, useEvery, useTitle } from "../Hooks.js"
import { Json } from "../parts/Json.js"
import { Problem } from "../parts/Problem.js"
import { to } from "../Router.js"
import { pauses } from "../server/Pauses.js"
import { workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { Facts } from "../workflows/Facts.js"
import { Change, Paused } from "../workflows/Pause.js"

export const Workflows = () => {
  const { again, problem, value } = useAsked("workflows", () => workflows)
  const paused = useAsked("pauses", () => pauses)
  useEvery(10, paused.again)
  useTitle("Workflows")
  return (
    <>
      <h1>Workflows</h1>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value?.length === 0 ? <p>None is registered in this executor.</p> : null}
      <div class="cards">
        {value?.map((workflow) => (
          <Workflow
            key={workflow.name}
            workflow={workflow}
            pause={paused.value?.find((one) => one.workflow === workflow.name)}
            again={paused.again}
          />
        ))}
      </div>
    </>
  )
}

const Workflow = ({
  again,
  pause,
  workflow: { name, payload, queue, signals = [] }
}: {
  readonly workflow: WorkflowView
  readonly pause: PauseView | undefined
  readonly again: () => void
}) => (
  <article class="card" aria-label={name}>
    <h2 class="text">{name}</h2>
    {pause === undefined ? null : <Paused {...pause} />}
    <Facts workflow={name} />
    <p class="buttons">
      {rights.value.write ? (
        <a class="button primary" href={to(["start"], { workflow: name })}>
          Start a run
        </a>
      ) : null}
      <a class="button" href={to(["runs"], { workflow: name })}>
        Its runs
      </a>
      <Change workflow={name} pause={pause} again={again} />
    </p>
    {queue === undefined ? null : (
      <p>
        Queue:{" "}
        <a class="text" href={to(["queues"])}>
          {queue}
        </a>
      </p>
    )}
    {signals.length === 0 ? null : (
      <p>
        Signals:{" "}
        {signals.map((signal, index) => (
          <span key={signal.name}>
            {index === 0 ? "" : ", "}
            <code>{signal.name}</code>
          </span>
        ))}
      </p>
    )}
    <details>
      <summary>Schema of the payload</summary>
      <Json name={`schema of ${name}`} value={payload} />
    </details>
  </article>
)
