/** What starts at certain times, when it does next, and what became of it last. */
import { useState } from "preact/hooks"
import type { ScheduleView } from "../../api/Schedules.js"
import { useAsked, useEvents, useEvery, useThrottled, useTitle } from "../Hooks.js"
import { Problem } from "../parts/Problem.js"
import { Scroller } from "../parts/Scroller.js"
import { Status } from "../parts/Status.js"
import { When } from "../parts/When.js"
import { to } from "../Router.js"
import { statusOf, when } from "../schedules/Told.js"
import { calmly } from "../server/Live.js"
import { schedules } from "../server/Schedules.js"
import { rights } from "../server/Session.js"

export const Schedules = () => {
  const [pages, setPages] = useState(1)
  const { again, problem, value } = useAsked(`schedules ${pages}`, () => schedules(pages))
  const askAgain = useThrottled(calmly(again), 2_000)
  useEvents((event) => event.type === "run" && isOfSchedule(event.runId) && askAgain())
  useEvery(10, again)
  useTitle("Schedules")
  return (
    <>
      <h1>Schedules</h1>
      {rights.value.write ? (
        <p class="buttons">
          <a class="button primary" href={to(["edit-schedule"])}>
            Make a schedule
          </a>
        </p>
      ) : null}
      {problem === undefined ? null : <Problem problem={problem} again={again} />}
      {value === undefined ? null : value.schedules.length === 0 ? (
        <p>There is none.</p>
      ) : (
        <Table schedules={value.schedules} />
      )}
      {value === undefined || value.nextCursor === null ? null : (
        <p class="buttons">
          <button type="button" onClick={() => setPages(pages + 1)}>
            Show more
          </button>
        </p>
      )}
    </>
  )
}

/** The ids of its runs say so. */
const isOfSchedule = (runId: string) => runId.startsWith("schedule/")

const Table = ({ schedules }: { readonly schedules: ReadonlyArray<ScheduleView> }) => (
  <Scroller class="scroll" label="Schedules">
    <table>
      <thead>
        <tr>
          <th scope="col">Schedule</th>
          <th scope="col">State</th>
          <th scope="col">Starts</th>
          <th scope="col">When</th>
          <th scope="col">Next tick</th>
          <th scope="col">Last run</th>
          <th scope="col">Origin</th>
        </tr>
      </thead>
      <tbody>
        {schedules.map((schedule) => (
          <Row key={schedule.name} schedule={schedule} />
        ))}
      </tbody>
    </table>
  </Scroller>
)

const Row = ({ schedule }: { readonly schedule: ScheduleView }) => {
  const { lastRuns, name, nextTicks, origin, workflow } = schedule
  const [next] = nextTicks
  const [last] = lastRuns
  return (
    <tr>
      <th scope="row">
        <a class="text" href={to(["schedules", name])}>
          {name}
        </a>
      </th>
      <td>
        <Status status={statusOf(schedule)} />
      </td>
      <td class="text">{workflow}</td>
      <td class="text">{when(schedule)}</td>
      <td>{next === undefined ? <span class="muted">none</span> : <When at={next} />}</td>
      <td>
        {last === undefined ? (
          <span class="muted">none</span>
        ) : (
          <>
            <Status status={last.status} />{" "}
            <a href={to(["runs", last.runId])}>
              <When at={last.createdAt} />
            </a>
          </>
        )}
      </td>
      <td>{origin === "declared" ? "the code" : "the API"}</td>
    </tr>
  )
}
