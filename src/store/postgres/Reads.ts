/** What this store reads. */
import * as Effect from "effect/Effect"
import { closed } from "../Closed.js"
import { portableReads } from "../PortableOperations.js"
import type { RunStore, RunStoreError } from "../RunStore.js"
import * as StepPages from "../StepPages.js"
import * as Claims from "./Claims.js"
import type { Connections } from "./Connections.js"
import * as Executors from "./Executors.js"
import * as Failure from "./Failure.js"
import { portable } from "./Numbered.js"
import * as Queries from "./Queries.js"
import type { Sql } from "./Sql.js"
import { stepReader } from "./StepReader.js"

export type Read = ReturnType<typeof readWith>

export const readWith =
  (connections: Connections, isClosed: () => boolean) =>
  <A, E>(query: (sql: Sql) => Effect.Effect<A, E>): Effect.Effect<A, RunStoreError> =>
    Effect.suspend(() =>
      isClosed()
        ? Effect.fail(closed)
        : Failure.orRunStoreError("read")(connections.reserved(query))
    )

export const reads = (read: Read) =>
  ({
    ...portableReads((use) => read((sql) => use(portable(sql)))),
    find: (runId) => read(Queries.find(runId)),
    findWithSteps: (runId, query) => read(Queries.findWithSteps(runId, query)),
    steps: (runId, query) => read((sql) => StepPages.steps(stepReader(sql), runId, query)),
    beginningWith: (options) => read(Queries.beginningWith(options)),
    finished: (runIds, options) => read(Queries.finished(runIds, options)),
    missing: (runIds) => read(Queries.missing(runIds)),
    list: (query) => read(Queries.list(query)),
    histories: (runs) => read(Claims.histories(runs)),
    wokenRuns: (executor) => read(Queries.wokenRuns(executor)),
    nextWakeAt: read(Queries.nextWakeAt),
    counts: read(Queries.counts),
    countBy: (filter) => read(Queries.countBy(filter)),
    queues: read(Queries.queues),
    blocked: read(Queries.blocked),
    oldestPending: read(Queries.oldestPending),
    pendingWorkflows: read(Queries.pendingWorkflows),
    executors: read(Executors.all)
  }) satisfies Partial<RunStore["Type"]>
