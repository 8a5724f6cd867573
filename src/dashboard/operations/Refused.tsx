/** Why an operation was refused for some of its runs, and for how many. */
import type { BulkView } from "../../api/Bulk.js"
import { count } from "../parts/Words.js"

export const Refused = ({ refused }: Pick<BulkView, "refused">) => {
  const reasons = Object.entries(refused)
  return reasons.length === 0 ? null : (
    <ul>
      {reasons.map(([message, times]) => (
        <li key={message} class="text">
          {count(times)}×: {message}
        </li>
      ))}
    </ul>
  )
}
