import type { Case } from "./Case.js"
import { type Comparison, compare } from "./Compare.js"

const comparisons = (["once", "inside"] as const).flatMap((made) =>
  [1, 50, 500].map(
    (concurrency): Comparison => ({
      id: `steps-${made}-${concurrency}`,
      title: `3 steps, activities made ${made === "once" ? "once" : "inside the workflow"}, concurrency ${concurrency}`,
      shape: { steps: 3, made },
      concurrency
    })
  )
)

export const steps: Case = {
  name: "steps",
  title: "A workflow of three steps",
  measure: (context) => compare(context, comparisons)
}
