/** One row of the timeline in full that is no step: when it came, or since when it is waited for. */
import { Fact } from "../parts/Fact.js"
import { When } from "../parts/When.js"
import { type Bar, isMoment, type Row } from "../timeline/Rows.js"

const iso = (millis: number) => new Date(millis).toISOString()

const names: Readonly<Partial<Record<Bar["status"], string>>> = {
  received: "Received",
  decided: "Decided",
  due: "Due"
}

export const MomentDetails = ({ row: { bars, due, kind, label } }: { readonly row: Row }) => (
  <section class="card" aria-label={`${kind} ${label}`}>
    <h3>
      <span class="muted">{kind}</span> <span class="text">{label}</span>
    </h3>
    <dl class="facts">
      {bars.map((bar) => (
        <Fact
          key={bar.from}
          name={isMoment(bar) ? (names[bar.status] ?? bar.status) : "Waited for since"}
        >
          <When at={iso(bar.from)} />
        </Fact>
      ))}
      {due === undefined ? null : (
        <Fact name="Due">
          <When at={iso(due)} />
        </Fact>
      )}
    </dl>
  </section>
)
