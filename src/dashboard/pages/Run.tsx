/** One run: why it is not going on, how it went, what it was given and what it came to. */
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import type { RunWithStepsView } from "../../api/RunView.js"
import { now, useAsked, useEvery, useTitle } from "../Hooks.js"
import { Copy } from "../parts/Copy.js"
import { Fact } from "../parts/Fact.js"
import { Json } from "../parts/Json.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { duration, millisOf, shortId, size } from "../parts/Words.js"
import { go, to } from "../Router.js"
import { ActionBar } from "../run/ActionBar.js"
import { useRun } from "../run/LiveRun.js"
import { MomentDetails } from "../run/MomentDetails.js"
import { OptionFacts } from "../run/OptionFacts.js"
import { Relatives } from "../run/Relatives.js"
import { StepDetails } from "../run/StepDetails.js"
import { type Around, why } from "../run/Why.js"
import { queues } from "../server/Queues.js"
import { executors, list, outcome, payload, type Question, workflows } from "../server/Server.js"
import { rights } from "../server/Session.js"
import { notTold, type Row, rowsOf } from "../timeline/Rows.js"
import { Timeline } from "../timeline/Timeline.js"

export const Run = ({ runId }: { readonly runId: string }) => {
  const { again, problem, value: run } = useRun(runId)
  useTitle(run === undefined ? shortId(runId) : `${run.workflow} ${shortId(runId)}`)
  return (
    <>
      {run === undefined ? <h1 class="text">Run {shortId(runId)}</h1> : <Heading run={run} />}
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {run === undefined ? null : (
        <>
          <Why run={run} />
          <ActionBar run={run} again={again} />
          <Steps run={run} />
          <Values run={run} />
          <Relatives run={run} />
        </>
      )}
    </>
  )
}

/** Which queue it waits in, and how whoever holds it is, is not in the run. */
const Why = ({ run }: { readonly run: RunWithStepsView }) =>
  run.waitsFor?.first.some(({ type }) => type === "queue") === true ? (
    <Queued run={run} />
  ) : run.heldBy?.self === false && rights.value.admin ? (
    <Elsewhere run={run} executor={run.heldBy.executor} />
  ) : (
    <Sentence run={run} around={{}} />
  )

/** What its workflow declares says in which. */
const Queued = ({ run }: { readonly run: RunWithStepsView }) => {
  const registered = useAsked("workflows", () => workflows)
  const known = useAsked("queues", () => queues)
  useEvery(3, known.again)
  const name = registered.value?.find((one) => one.name === run.workflow)?.queue
  const queue = known.value?.find((one) => one.name === name)
  return (
    <Sentence run={run} around={{ queue: queue ?? (name === undefined ? undefined : { name }) }}>
      <a href={to(["queues"])}>Queues</a>
    </Sentence>
  )
}

const Elsewhere = ({
  executor,
  run
}: {
  readonly run: RunWithStepsView
  readonly executor: number
}) => {
  const known = useAsked("executors", () => executors)
  useEvery(3, known.again)
  return (
    <Sentence run={run} around={{ holder: known.value?.find(({ id }) => id === executor) }}>
      <a href={to(["executors"])}>Executors</a>
    </Sentence>
  )
}

const Sentence = ({
  around,
  children,
  run
}: {
  readonly run: RunWithStepsView
  readonly around: Around
  /** Where there is more of it. */
  readonly children?: ComponentChildren
}) => (
  <p class={`why is-${run.status} text`} role="status">
    {why(run, now.value, around)}
    {children === undefined ? null : <> {children}</>}
  </p>
)

const Heading = ({ run }: { readonly run: RunWithStepsView }) => (
  <>
    <h1>
      <span class="text">{run.workflow}</span> <Status status={run.status} />
    </h1>
    <dl class="facts">
      <Fact name="Run">
        <code class="text">{run.runId}</code> <Copy text={run.runId} what="the run's id" />
      </Fact>
      <Fact name="Created">
        <When at={run.createdAt} />
      </Fact>
      {run.completedAt === undefined ? null : (
        <Fact name="Over">
          <When at={run.completedAt} />
        </Fact>
      )}
      <Fact name={run.completedAt === undefined ? "Takes so far" : "Took"}>
        {duration(
          (run.completedAt === undefined ? now.value : millisOf(run.completedAt)) -
            millisOf(run.createdAt)
        )}
      </Fact>
      <OptionFacts run={run} />
    </dl>
  </>
)

/** As many children as the timeline shows. */
const childrenShown = 200

const Steps = ({ run }: { readonly run: RunWithStepsView }) => {
  const total = run.children?.total ?? 0
  const children = useAsked(`timeline ${run.runId} ${total} ${run.status}`, () =>
    list({ parent: run.runId, limit: childrenShown })
  )
  const [selected, setSelected] = useState<string | undefined>(undefined)
  // of one that is over nothing comes any more
  const time = run.completedAt === undefined ? now.value : 0
  const rows = rowsOf(run, children.value?.runs ?? [], time)
  const more = notTold(run)
  const attempts = run.steps.filter((step) => `step/${step.name}` === selected)
  const chosen = rows.find((row) => row.key === selected)
  const select = (row: Row) => {
    if (row.runId !== undefined) return go(to(["runs", row.runId]))
    setSelected(row.key === selected ? undefined : row.key)
  }
  return (
    <section>
      <h2>Timeline</h2>
      {rows.length === 0 ? (
        <p class="muted">No step has started.</p>
      ) : (
        <Timeline
          rows={rows}
          createdAt={millisOf(run.createdAt)}
          completedAt={run.completedAt === undefined ? undefined : millisOf(run.completedAt)}
          selected={selected}
          onSelect={select}
        />
      )}
      {more === undefined ? null : <p class="muted">{more}</p>}
      {attempts[0] === undefined ? null : (
        <StepDetails key={selected} runId={run.runId} name={attempts[0].name} attempts={attempts} />
      )}
      {chosen === undefined || attempts.length > 0 ? null : <MomentDetails row={chosen} />}
    </section>
  )
}

const Values = ({ run }: { readonly run: RunWithStepsView }) =>
  run.hidden === true ? (
    <p class="muted">
      Its payload, its result and what errors say are hidden from this token: they are told to
      tokens with the scope <code>admin</code>.
    </p>
  ) : (
    <ValuesShown run={run} />
  )

const ValuesShown = ({ run }: { readonly run: RunWithStepsView }) => (
  <div class="columns">
    <Value
      title="Payload"
      name="payload"
      value={run.payload}
      bytes={run.leftOut?.payload}
      whole={() => payload(run.runId)}
    />
    {run.error === undefined ? null : (
      <section>
        <h2>Error</h2>
        <p class="text error-text">{run.error.message}</p>
        {run.leftOut?.error === undefined ? (
          <Json name="error" value={run.cause ?? run.error} />
        ) : (
          <Folded name="error" bytes={run.leftOut.error} whole={() => outcome(run.runId)} />
        )}
        {run.stack === undefined ? null : (
          <details>
            <summary>Where it came from</summary>
            <Scroller class="stack" label="Where it came from">
              <pre class="text">{run.stack}</pre>
            </Scroller>
          </details>
        )}
      </section>
    )}
    {run.status === "completed" ? (
      <Value
        title="Result"
        name="result"
        value={run.result}
        bytes={run.leftOut?.result}
        whole={() => outcome(run.runId)}
      />
    ) : null}
  </div>
)

interface WholeProps {
  readonly name: string
  /** Of what was left out. */
  readonly bytes: number
  readonly whole: () => Question<unknown>
}

const Value = ({
  bytes,
  name,
  title,
  value,
  whole
}: Omit<WholeProps, "bytes"> & {
  readonly title: string
  readonly value: unknown
  readonly bytes: number | undefined
}) => (
  <section>
    <h2>{title}</h2>
    {bytes !== undefined ? (
      <Folded name={name} bytes={bytes} whole={whole} />
    ) : value === undefined ? (
      <p class="muted">There is none.</p>
    ) : (
      <Json name={name} value={value} />
    )}
  </section>
)

/** What is too large to come with the rest is read when somebody asks for it. */
const Folded = ({ bytes, name, whole }: WholeProps) => {
  const [isAsked, setAsked] = useState(false)
  return isAsked ? (
    <Whole name={name} whole={whole} />
  ) : (
    <p>
      <button type="button" onClick={() => setAsked(true)}>
        Read the {name}: {size(bytes)}
      </button>
    </p>
  )
}

const Whole = ({ name, whole }: Omit<WholeProps, "bytes">) => {
  const { again, problem, value } = useAsked(name, whole)
  if (problem !== undefined) return <Problem problem={problem} again={again} />
  return value === undefined ? <p class="muted">Reading</p> : <Json name={name} value={value} />
}
