/** Why something could not be told. */
import type { Problem as Told } from "../server/Server.js"

export const Problem = ({
  again,
  problem
}: {
  readonly problem: Told
  readonly again?: () => void
}) => (
  <div class="problem" role="alert">
    <p>
      <strong>{problem.tag}</strong> <span class="text">{problem.message}</span>
    </p>
    {again === undefined ? null : (
      <button type="button" onClick={again}>
        Ask again
      </button>
    )}
  </div>
)
