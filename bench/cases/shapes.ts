import type { Case } from "./Case.js"
import { compare } from "./Compare.js"

export const shapes: Case = {
  name: "shapes",
  title: "Long, wide and heavy workflows",
  measure: (context) =>
    compare(context, [
      {
        id: "long",
        title: "100 steps one after the other, concurrency 10",
        shape: { steps: 100, made: "once" },
        concurrency: 10
      },
      {
        id: "parallel",
        title: "20 steps at once, concurrency 10",
        shape: { steps: 20, made: "once", parallel: true },
        concurrency: 10
      },
      {
        id: "result-1k",
        title: "3 steps with results of 1 kB, concurrency 50",
        shape: { steps: 3, made: "once", resultSize: 1_000 },
        concurrency: 50
      },
      {
        id: "result-100k",
        title: "3 steps with results of 100 kB, concurrency 50",
        shape: { steps: 3, made: "once", resultSize: 100_000 },
        concurrency: 50
      }
    ])
}
