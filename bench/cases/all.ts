import type { Case } from "./Case.js"
import { claims } from "./claims.js"
import { commits } from "./commits.js"
import { dashboards } from "./dashboards.js"
import { drain } from "./drain.js"
import { executors } from "./executors.js"
import { finished } from "./finished.js"
import { handover } from "./handover.js"
import { heap } from "./heap.js"
import { http } from "./http.js"
import { latency } from "./latency.js"
import { postgres } from "./postgres.js"
import { queue } from "./queue.js"
import { shapes } from "./shapes.js"
import { signal } from "./signal.js"
import { startup } from "./startup.js"
import { steps } from "./steps.js"
import { timers } from "./timers.js"
import { waits } from "./waits.js"

export const all: ReadonlyArray<Case> = [
  commits,
  steps,
  latency,
  shapes,
  finished,
  queue,
  http,
  dashboards,
  signal,
  waits,
  timers,
  startup,
  executors,
  postgres,
  claims,
  drain,
  handover,
  heap
]
