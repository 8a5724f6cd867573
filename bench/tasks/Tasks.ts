/** The tasks that a child process can be started with, by their module's name. */
import type { Session } from "../harness/Session.js"
import type * as Backlog from "./Backlog.js"
import type * as Claims from "./Claims.js"
import type * as Commits from "./Commits.js"
import type * as Dashboards from "./Dashboards.js"
import type * as Drain from "./Drain.js"
import type * as HandOver from "./HandOver.js"
import type * as Heap from "./Heap.js"
import type * as HttpClient from "./HttpClient.js"
import type * as HttpServer from "./HttpServer.js"
import type * as Lateness from "./Lateness.js"
import type * as Queue from "./Queue.js"
import type * as Resume from "./Resume.js"
import type * as Seed from "./Seed.js"
import type * as Sender from "./Sender.js"
import type * as StartUp from "./StartUp.js"
import type * as Throughput from "./Throughput.js"
import type * as Waiting from "./Waiting.js"

interface Tasks {
  readonly Backlog: typeof Backlog.open
  readonly Claims: typeof Claims.open
  readonly Commits: typeof Commits.open
  readonly Dashboards: typeof Dashboards.open
  readonly Drain: typeof Drain.open
  readonly HandOver: typeof HandOver.open
  readonly Heap: typeof Heap.open
  readonly HttpClient: typeof HttpClient.open
  readonly HttpServer: typeof HttpServer.open
  readonly Lateness: typeof Lateness.open
  readonly Queue: typeof Queue.open
  readonly Resume: typeof Resume.open
  readonly Seed: typeof Seed.open
  readonly Sender: typeof Sender.open
  readonly StartUp: typeof StartUp.open
  readonly Throughput: typeof Throughput.open
  readonly Waiting: typeof Waiting.open
}

export type TaskName = keyof Tasks

export type Params<Name extends TaskName> = Parameters<Tasks[Name]>[0]

export type SessionOf<Name extends TaskName> =
  Awaited<ReturnType<Tasks[Name]>> extends Session<infer Input, infer Output>
    ? Session<Input, Output>
    : never
