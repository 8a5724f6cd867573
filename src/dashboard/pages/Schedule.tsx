/** One schedule: what it does next, what its last runs came to, and what it is to do. */
import type { ScheduledRunView, ScheduleView } from "../../api/Schedules.js"
import { now, useAsked, useEvents, useEvery, useThrottled, useTitle } from "../Hooks.js"
import { Fact } from "../parts/Fact.js"
import { Json } from "../parts/Json.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { count, duration, millisOf } from "../parts/Words.js"
import { to } from "../Router.js"
import { Actions } from "../schedules/Actions.js"
import { state, statusOf, when, zoned, zoneOf } from "../schedules/Told.js"
import { schedule as question } from "../server/Schedules.js"

export const Schedule = ({ name }: { readonly name: string }) => {
  const { again, problem, value } = useAsked(`schedule ${name}`, () => question(name))
  const askAgain = useThrottled(again, 1_000)
  useEvents(
    (event) => event.type === "run" && event.runId.startsWith(`schedule/${name}/`) && askAgain()
  )
  useEvery(5, again)
  useTitle(name)
  return (
    <>
      <h1>
        <span class="text">{name}</span>{" "}
        {value === undefined ? null : <Status status={statusOf(value)} />}
      </h1>
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value === undefined ? null : <Told schedule={value} again={again} />}
    </>
  )
}

const Told = ({
  again,
  schedule
}: {
  readonly schedule: ScheduleView
  readonly again: () => void
}) => (
  <>
    <Facts schedule={schedule} />
    <p class={`why is-${statusOf(schedule)} text`} role="status">
      {state(schedule, now.value)}
    </p>
    <Actions schedule={schedule} again={again} />
    <div class="columns">
      <Ticks schedule={schedule} />
      <LastRuns schedule={schedule} />
    </div>
    <section>
      <h2>Payload of its runs</h2>
      {schedule.hidden === true ? (
        <p class="muted">It is hidden from this token.</p>
      ) : (
        <Json name="payload" value={schedule.payload} />
      )}
    </section>
  </>
)

const overlaps: Readonly<Record<NonNullable<ScheduleView["overlap"]>, string>> = {
  skip: "the tick is left out",
  queue: "one tick waits until it is over",
  allow: "its run starts beside it",
  cancel: "it is interrupted first"
}

const Facts = ({ schedule }: { readonly schedule: ScheduleView }) => {
  const { catchUp, changedAt, end, jitter, lastMissed, lastSkipped, origin, overlap } = schedule
  return (
    <dl class="facts">
      <Fact name="Starts">
        <a class="text" href={to(["runs"], { workflow: schedule.workflow })}>
          {schedule.workflow}
        </a>
      </Fact>
      <Fact name="When">
        <span class="text">{when(schedule)}</span>
      </Fact>
      <Fact name="While a run of it is under way">{overlaps[overlap ?? "skip"]}</Fact>
      <Fact name="Started">
        {count(schedule.started)}
        {schedule.count === undefined ? "" : ` of ${count(schedule.count)}`}
      </Fact>
      {catchUp === undefined ? null : <Fact name="Catches up">{catchUp}</Fact>}
      {jitter === undefined ? null : <Fact name="Jitter">{jitter}</Fact>}
      <Time name="Ends" at={end} />
      <Time name="Last tick left out while a run was under way" at={lastSkipped} />
      <Time name="Last tick that nobody was there for" at={lastMissed} />
      <Fact name="Origin">
        {origin === "declared" ? "the code" : "the API"}, <When at={changedAt} />
      </Fact>
    </dl>
  )
}

const Time = ({ at, name }: { readonly name: string; readonly at: string | undefined }) =>
  at === undefined ? null : (
    <Fact name={name}>
      <When at={at} />
    </Fact>
  )

const Ticks = ({ schedule }: { readonly schedule: ScheduleView }) => {
  const zone = zoneOf(schedule)
  return (
    <section>
      <h2>Next ticks</h2>
      {schedule.nextTicks.length === 0 ? (
        <p class="muted">None.</p>
      ) : (
        <Scroller class="scroll" label="Next ticks">
          <table>
            <thead>
              <tr>
                <th scope="col">Tick</th>
                <th scope="col">In {zone}</th>
              </tr>
            </thead>
            <tbody>
              {schedule.nextTicks.map((tick) => (
                <tr key={tick}>
                  <th scope="row">
                    <When at={tick} />
                  </th>
                  <td>{zoned(tick, zone) ?? "a zone that this browser does not know"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
    </section>
  )
}

const LastRuns = ({ schedule }: { readonly schedule: ScheduleView }) => (
  <section>
    <h2>Last runs</h2>
    {schedule.lastRuns.length === 0 ? (
      <p class="muted">None.</p>
    ) : (
      <Scroller class="scroll" label="Last runs">
        <table>
          <thead>
            <tr>
              <th scope="col">Tick in {zoneOf(schedule)}</th>
              <th scope="col">Status</th>
              <th scope="col">Took</th>
            </tr>
          </thead>
          <tbody>
            {schedule.lastRuns.map((run) => (
              <RunRow key={run.runId} run={run} zone={zoneOf(schedule)} />
            ))}
          </tbody>
        </table>
      </Scroller>
    )}
  </section>
)

/** Its tick is in its id; so is that it was triggered beside the ticks. */
const tickOf = (runId: string, zone: string) => {
  const [, tick, triggered] = /^schedule\/[^/]+\/([^/]+)(\/triggered)?$/.exec(runId) ?? []
  const told = tick === undefined ? undefined : zoned(tick, zone)
  return `${told ?? tick ?? runId}${triggered === undefined ? "" : ", triggered"}`
}

const RunRow = ({
  run: { completedAt, createdAt, runId, status },
  zone
}: {
  readonly run: ScheduledRunView
  readonly zone: string
}) => (
  <tr>
    <th scope="row">
      <a href={to(["runs", runId])} title={runId}>
        {tickOf(runId, zone)}
      </a>
    </th>
    <td>
      <Status status={status} />
    </td>
    <td>
      {duration(
        (completedAt === undefined ? now.value : millisOf(completedAt)) - millisOf(createdAt)
      )}
    </td>
  </tr>
)
