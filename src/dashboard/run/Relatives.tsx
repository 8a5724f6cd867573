/** The runs above and below a run, as a tree that is read as far as it is opened. */
import { useState } from "preact/hooks"
import type { RelativeView, RunWithStepsView } from "../../api/RunView.js"
import { useAsked } from "../Hooks.js"
import { Problem } from "../parts/Problem.js"
import { Status } from "../parts/Status.js"
import { counted, shortId } from "../parts/Words.js"
import { to } from "../Router.js"
import { list } from "../server/Server.js"

const Link = ({ runId, status, workflow }: RelativeView) => (
  <>
    <a class="text" href={to(["runs", runId])}>
      {workflow} {shortId(runId)}
    </a>{" "}
    <Status status={status} />
  </>
)

export const Relatives = ({ run }: { readonly run: RunWithStepsView }) => {
  const { children, parents } = run
  if (children === undefined && parents === undefined) return null
  return (
    <section>
      <h2>Parents and children</h2>
      <ul class="tree">
        {parents === undefined ? (
          <Self run={run} />
        ) : (
          parents.first.map((parent) => (
            <li key={parent.runId}>
              <Link {...parent} />
              <ul>
                <Self run={run} />
              </ul>
            </li>
          ))
        )}
      </ul>
      {parents === undefined || parents.total <= parents.first.length ? null : (
        <p class="muted">{counted(parents.total, "run")} have started it.</p>
      )}
    </section>
  )
}

const Self = ({ run }: { readonly run: RunWithStepsView }) => (
  <li>
    <strong class="text">
      {run.workflow} {shortId(run.runId)}
    </strong>{" "}
    <span class="muted">(this run)</span>
    {run.children === undefined ? null : (
      <Children runId={run.runId} total={run.children.total} depth={0} />
    )}
  </li>
)

const deepest = 20

const Children = ({
  depth,
  runId,
  total
}: {
  readonly runId: string
  readonly total: number | undefined
  readonly depth: number
}) => {
  const { again, problem, value } = useAsked(`children ${runId} ${total}`, () =>
    list({ parent: runId, limit: 50 })
  )
  if (problem !== undefined) return <Problem problem={problem} again={again} />
  if (value === undefined) return <p class="muted">Reading</p>
  return (
    <>
      <ul>
        {value.runs.map((child) => (
          <Child key={child.runId} child={child} depth={depth} />
        ))}
      </ul>
      {value.runs.length === 0 ? <p class="muted">It has started none.</p> : null}
      {value.nextCursor === null ? null : (
        <a href={to(["runs"], { parent: runId })}>All of its children</a>
      )}
    </>
  )
}

const Child = ({ child, depth }: { readonly child: RelativeView; readonly depth: number }) => {
  const [isOpen, setOpen] = useState(false)
  return (
    <li>
      <Link {...child} />{" "}
      {depth >= deepest ? null : (
        <button
          type="button"
          class="quiet"
          aria-expanded={isOpen}
          aria-label={`Children of ${child.workflow} ${shortId(child.runId)}`}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "−" : "+"}
        </button>
      )}
      {isOpen ? <Children runId={child.runId} total={undefined} depth={depth + 1} /> : null}
    </li>
  )
}
