/** What is registered in the executor that answers. */
import type { WorkflowView } from "../../api/RunView.js"
import { useAsked, useTitle } from "../Hooks.js"
import { Json } from "../parts/Json.js"
import { Problem } from "../parts/Problem.js"
import { to } from "../Router.js"
import { workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { Facts } from "../workflows/Facts.js"

export const Workflows = () => {
  const { again, problem, value } = useAsked("workflows", () => workflows)
  useTitle("Workflows")
  return (
    <>
      <h1>Workflows</h1>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value?.length === 0 ? <p>None is registered in this executor.</p> : null}
      <div class="cards">
        {value?.map((workflow) => (
          <Workflow key={workflow.name} {...workflow} />
        ))}
      </div>
    </>
  )
}

const Workflow = ({ name, payload, queue, signals = [] }: WorkflowView) => (
  <article class="card">
    <h2 class="text">{name}</h2>
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
