/**
 * What happens in this process, told to whoever listens: how runs, steps and the Runner change.
 *
 * Events are for those who watch. Nothing is executed because of one: the RunStore has the truth,
 * and an event comes after what it tells of was committed. They are kept in memory, the newest
 * `remembered` of them, for listeners that come back; a process begins without any.
 *
 * Publishing is on the way of every step, so it is a push into an array and, for each listener
 * there is, a call. It never waits.
 */
import { randomBytes } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { RunStore } from "../store/RunStore.js"
import type { Event, Publish } from "./Event.js"
import * as Minutes from "./Minutes.js"

export * from "./Event.js"

import { observe } from "./ObservedRunStore.js"

export interface Listener {
  /** Hears of this run alone. Default: of everything. */
  readonly runId?: string | undefined
  /** Takes an event, or has no room for it (`false`), and then hears no more. Never waits. */
  readonly offer: (event: Event) => boolean
}

/** Where a listener begins. */
export interface Start {
  /** The sequence of the newest event; what is published after it is offered. */
  readonly position: number
  /** What was published after `since` until then; `undefined` where that is not known any more. */
  readonly missed: ReadonlyArray<Event> | undefined
  /** The sequence of the event that was named, where what was missed is known. */
  readonly since: number | undefined
}

export class Events extends Context.Tag("effect-workflow-executor/Events")<
  Events,
  {
    readonly publish: Publish
    /** How many steps ended in each minute of the last hour, until `now`. */
    readonly minutes: Minutes.Minutes["read"]
    /** The sequence of the newest event; 0 before the first. */
    readonly position: () => number
    /** The id of the event of that sequence. */
    readonly idOf: (sequence: number) => string
    /** The event of that id, while it is remembered. */
    readonly find: (id: string) => Event | undefined
    /** What was published since the event of that id; `undefined` where that is not known. */
    readonly since: (id: string, runId?: string | undefined) => ReadonlyArray<Event> | undefined
    /**
     * Listens, for as long as the scope is open, from the event after the one with the id `after`
     * on; without one, from now on. Nothing comes twice, and nothing is left out in between.
     */
    readonly listen: (
      listener: Listener,
      after?: string | undefined
    ) => Effect.Effect<Start, never, Scope.Scope>
  }
>() {}

export interface Options {
  /** How many events are kept for listeners that come back. Default: 4,096. */
  readonly remembered?: number | undefined
}

export const make = ({ remembered = 4_096 }: Options = {}): Events["Type"] => {
  const epoch = randomBytes(6).toString("hex")
  const ring: Array<Event> = []
  const listeners = new Set<Listener>()
  const ofRuns = new Map<string, Set<Listener>>()
  const minutes = Minutes.make()
  let position = 0

  const idOf = (sequence: number) => `${epoch}-${sequence}`

  const sequenceOf = (id: string): number | undefined => {
    const [, of, digits = ""] = /^([0-9a-f]+)-(\d{1,15})$/.exec(id) ?? []
    const sequence = Number(digits)
    return of === epoch && sequence <= position ? sequence : undefined
  }

  const oldest = () => position - Math.min(position, remembered)

  const at = (sequence: number) => ring[sequence % remembered]

  const offerTo = (audience: ReadonlySet<Listener>, event: Event) => {
    for (const listener of audience) if (!listener.offer(event)) remove(listener)
  }

  const publish: Publish = (event) => {
    position++
    const told: Event = { id: idOf(position), ...event }
    ring[position % remembered] = told
    if (event.type === "step" && (event.status === "completed" || event.status === "failed")) {
      minutes.add(event.at, event.status)
    }
    if (listeners.size > 0) offerTo(listeners, told)
    if (told.type === "executor" || ofRuns.size === 0) return
    const ofRun = ofRuns.get(told.runId)
    if (ofRun !== undefined) offerTo(ofRun, told)
  }

  const audienceOf = (runId: string) => {
    const found = ofRuns.get(runId)
    if (found !== undefined) return found
    const made = new Set<Listener>()
    ofRuns.set(runId, made)
    return made
  }

  const add = (listener: Listener) => {
    const audience = listener.runId === undefined ? listeners : audienceOf(listener.runId)
    audience.add(listener)
  }

  const remove = (listener: Listener) => {
    listeners.delete(listener)
    if (listener.runId === undefined) return
    const audience = ofRuns.get(listener.runId)
    if (audience?.delete(listener) && audience.size === 0) ofRuns.delete(listener.runId)
  }

  const startOf = (runId: string | undefined, after: string | undefined): Start => {
    const since = after === undefined ? position : sequenceOf(after)
    if (since === undefined || since < oldest()) {
      return { position, missed: undefined, since: undefined }
    }
    const missed: Array<Event> = []
    for (let sequence = since + 1; sequence <= position; sequence++) {
      const event = at(sequence)
      if (event !== undefined && isOf(runId, event)) missed.push(event)
    }
    return { position, missed, since }
  }

  return {
    publish,
    minutes: minutes.read,
    position: () => position,
    idOf,
    find: (id) => {
      const sequence = sequenceOf(id)
      return sequence === undefined || sequence <= oldest() ? undefined : at(sequence)
    },
    since: (id, runId) => startOf(runId, id).missed,
    listen: (listener, after) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          add(listener)
          return startOf(listener.runId, after)
        }),
        () => Effect.sync(() => remove(listener))
      )
  }
}

const isOf = (runId: string | undefined, event: Event) =>
  runId === undefined || (event.type !== "executor" && event.runId === runId)

/** Over the RunStore: provides the same store, whose writes are told of. */
export const layerWith = (options: Options): Layer.Layer<Events | RunStore, never, RunStore> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const events = make(options)
      const store = observe(yield* RunStore, events.publish, yield* Effect.clock)
      return Context.make(Events, events).pipe(Context.add(RunStore, store))
    })
  )

export const layer: Layer.Layer<Events | RunStore, never, RunStore> = layerWith({})
