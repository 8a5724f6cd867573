/** The frame around every page: where one can go, how the executor is, and whether that is current. */
import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { now } from "./Hooks.js"
import { EditSchedule } from "./pages/EditSchedule.js"
import { Executors } from "./pages/Executors.js"
import { Operations } from "./pages/Operations.js"
import { Overview } from "./pages/Overview.js"
import { Queues } from "./pages/Queues.js"
import { Run } from "./pages/Run.js"
import { Runs } from "./pages/Runs.js"
import { Schedule } from "./pages/Schedule.js"
import { Schedules } from "./pages/Schedules.js"
import { SignIn } from "./pages/SignIn.js"
import { Start } from "./pages/Start.js"
import { Workflows } from "./pages/Workflows.js"
import { Notices } from "./parts/Notices.js"
import { exactTimes, tellExactly } from "./parts/When.js"
import { clock } from "./parts/Words.js"
import { place, to } from "./Router.js"
import { connected, executorState, lostSince } from "./server/Live.js"
import { rights, signOut, token } from "./server/Session.js"

export const App = () =>
  token.value === undefined ? (
    <SignIn />
  ) : (
    <>
      <button type="button" class="skip" onClick={skip}>
        To the content
      </button>
      <Header />
      <Lost />
      <Main>
        <Page />
      </Main>
      <Notices />
    </>
  )

/** No link: the part of the address that would say where to is the page's. */
const skip = () => document.getElementById("main")?.focus()

const links = [
  ["Overview", []],
  ["Runs", ["runs"]],
  ["Workflows", ["workflows"]],
  ["Queues", ["queues"]],
  ["Schedules", ["schedules"]],
  ["Operations", ["bulk"]],
  ["Executors", ["executors"]]
] as const

/** What is told of only with the scope `admin`. */
const forAdmins: ReadonlyArray<string> = ["Operations", "Executors"]

const isOffered = ([name]: (typeof links)[number]) =>
  !forAdmins.includes(name) || rights.value.admin

const Header = () => (
  <header>
    <nav aria-label="Pages">
      <ul>
        {links.filter(isOffered).map(([name, path]) => {
          const isHere = (place.value.path[0] ?? "") === (path[0] ?? "")
          return (
            <li key={name}>
              <a href={to(path)} {...(isHere ? { "aria-current": "page" } : {})}>
                {name}
              </a>
            </li>
          )
        })}
      </ul>
    </nav>
    <div class="aside">
      <Live />
      <label class="check">
        <input
          type="checkbox"
          checked={exactTimes.value}
          onChange={(event) => tellExactly(event.currentTarget.checked)}
        />
        Exact times
      </label>
      <button type="button" onClick={() => signOut()}>
        Sign out
      </button>
    </div>
  </header>
)

const Live = () => {
  if (lostSince.value !== undefined) return <span class="live is-lost">not connected</span>
  if (!connected.value) return <span class="live">connecting</span>
  const state = executorState.value
  return (
    <span class={`live is-live is-${state ?? "running"}`}>
      live{state === undefined || state === "running" ? "" : `: executor ${state}`}
    </span>
  )
}

const Lost = () =>
  lostSince.value === undefined ? null : (
    <div class="banner" role="status">
      No connection to the executor since {clock(lostSince.value, now.value)}. What is shown may be
      out of date. Trying again.
    </div>
  )

const Main = ({ children }: { readonly children: ComponentChildren }) => {
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  const page = place.value.path.join("/")
  // another page is read from its beginning
  useEffect(() => {
    if (!first.current) {
      main.current?.focus({ preventScroll: true })
      window.scrollTo(0, 0)
    }
    first.current = false
  }, [page])
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {children}
    </main>
  )
}

const Page = () => {
  const [first, second] = place.value.path
  if (!rights.value.read && first !== "start") return <NoRights />
  switch (first) {
    case undefined:
      return <Overview />
    case "runs":
      return second === undefined ? <Runs /> : <Run key={second} runId={second} />
    case "workflows":
      return <Workflows />
    case "queues":
      return <Queues />
    case "schedules":
      return second === undefined ? <Schedules /> : <Schedule key={second} name={second} />
    case "edit-schedule":
      return <EditSchedule key={place.value.query.toString()} />
    case "bulk":
      return <Operations />
    case "start":
      return <Start key={place.value.query.toString()} />
    case "executors":
      return <Executors />
    default:
      return <Nothing />
  }
}

const Nothing = () => (
  <>
    <h1>There is no such page</h1>
    <p>
      <a href={to([])}>To the overview</a>
    </p>
  </>
)

const NoRights = () => (
  <>
    <h1>This token may not read runs</h1>
    <p>
      It lacks the scope <code>runs:read</code>. Sign in with one that has it.
    </p>
  </>
)
