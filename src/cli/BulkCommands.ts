/** What `runs bulk` and the commands of operations on many runs do. */
import * as Effect from "effect/Effect"
import type { BulkRequest, BulkView } from "../api/Bulk.js"
import { CommandEnded, exitCodes, UsageError } from "./Failures.js"
import * as Output from "./Output.js"
import { type Options, on } from "./RunsCommands.js"
import * as ShortIds from "./ShortIds.js"
import * as Table from "./Table.js"
import type { Target } from "./Target.js"

const refusedOf = ({ refused }: BulkView) =>
  Object.values(refused).reduce((sum, runs) => sum + runs, 0)

const runs = (count: number) => `${count} run${count === 1 ? "" : "s"}`

const describe = (operation: BulkView) => {
  const refused = refusedOf(operation)
  return `${operation.action} ${operation.state}: done with ${operation.done} of ${runs(operation.matched)}${
    refused === 0 ? "" : `, ${refused} refused`
  }`
}

const tellRefused = ({ refused }: BulkView) =>
  Effect.forEach(
    Object.entries(refused),
    ([why, count]) => Output.line(`${runs(count)} refused: ${why}`),
    { discard: true }
  )

const tell = (options: Options, operation: BulkView) =>
  options.json
    ? Output.json(operation)
    : Effect.zipRight(Output.line(describe(operation)), tellRefused(operation))

const lookEvery = "500 millis"

/** Until it is over; for people with how far it is. */
const untilOver = (target: Target["Type"], options: Options, id: number) =>
  Effect.gen(function* () {
    let told = ""
    while (true) {
      const operation = yield* target.bulkOperation(id)
      if (operation.state !== "running") return yield* tell(options, operation)
      const now = describe(operation)
      if (!options.json && now !== told) yield* Output.aside(now)
      told = now
      yield* Effect.sleep(lookEvery)
    }
  }).pipe(
    // it goes on by itself; of an interrupted fiber only defects are seen
    Effect.onInterrupt(() => Effect.die(new CommandEnded({ exitCode: exitCodes.interrupted })))
  )

export interface BulkOptions extends Options {
  readonly preview: boolean
  readonly yes: boolean
  readonly wait: boolean
}

export const bulk = (options: BulkOptions, request: BulkRequest) =>
  on(options, { patient: options.wait })((target) =>
    Effect.gen(function* () {
      const { filter = {} } = request
      const parent =
        filter.parent === undefined ? undefined : yield* ShortIds.whole(target, filter.parent)
      const asked = { ...request, filter: { ...filter, parent } }
      if (options.preview || !options.yes) {
        const { matched } = yield* target.previewBulk(asked)
        if (!options.preview) {
          return yield* new UsageError({
            message: `This would ${request.action} ${runs(matched)}; nothing was done: say --yes to do it`
          })
        }
        return yield* options.json ? Output.json({ matched }) : Output.line(runs(matched))
      }
      const begun = yield* target.bulk(asked)
      if (options.wait) return yield* untilOver(target, options, begun.id)
      yield* options.json
        ? Output.json(begun)
        : Output.line(`operation ${begun.id}: ${request.action} ${runs(begun.matched)}`)
    }).pipe(Effect.catchTag("EmptyFilter", () => saysNothing(request)))
  )

const saysNothing = ({ action }: BulkRequest) =>
  new UsageError({
    message: `Which runs to ${action} is not said: give a filter, such as --workflow or --status; or --all, where all runs are meant`
  })

export const list = (options: Options) =>
  on(options)((target) =>
    Effect.flatMap(target.bulkOperations, (operations) =>
      options.json
        ? Output.json({ operations })
        : Output.table(
            ["ID", "ACTION", "STATE", "MATCHED", "DONE", "REFUSED", "ASKED", "FILTER"],
            operations.map((operation) => [
              String(operation.id),
              operation.action,
              operation.state,
              String(operation.matched),
              String(operation.done),
              String(refusedOf(operation)),
              Table.time(operation.requestedAt),
              JSON.stringify(operation.filter)
            ]),
            { lastBelow: true }
          )
    )
  )

export const show = (options: Options, id: number) =>
  on(options)((target) =>
    Effect.flatMap(target.bulkOperation(id), (operation) => tell(options, operation))
  )

export const cancel = (options: Options, id: number) =>
  on(options)((target) =>
    Effect.flatMap(target.cancelBulk(id), (operation) => tell(options, operation))
  )
