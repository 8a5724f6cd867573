/** Who works on the store, in short. */
import { now, useAsked, useEvents, useEvery } from "../Hooks.js"
import { counted, fromNow, millisOf } from "../parts/Words.js"
import { calmly } from "../server/Live.js"
import { executors } from "../server/Server.js"
import { stateOf } from "./ExecutorState.js"

/** As many as are listed. */
const shown = 8

export const Executors = () => {
  const { again, value } = useAsked("executors", () => executors)
  useEvery(10, calmly(again))
  useEvents((event) => event.type === "executor" && again())
  return (
    <section>
      <h2>Executors</h2>
      <ul class="list">
        {value?.slice(0, shown).map((executor) => (
          <li key={executor.id}>
            <span class="text">
              {executor.id} on {executor.host}
            </span>{" "}
            <span class={executor.alive ? "muted" : "wrong"}>
              {executor.self ? "this one, " : ""}
              {stateOf(executor, now.value)}, {counted(executor.runs, "run")} held, began{" "}
              {fromNow(millisOf(executor.startedAt), now.value)}
            </span>
          </li>
        ))}
      </ul>
      {value === undefined || value.length <= shown ? null : (
        <p class="muted">and {counted(value.length - shown, "other")}</p>
      )}
    </section>
  )
}
