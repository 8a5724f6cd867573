/**
 * What is registered in this process: workflows with their functions, and the deferreds that they are
 * known to await.
 */
import type { DurableDeferred, Workflow } from "@effect/workflow"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Option from "effect/Option"
import type { Registration } from "../run/ActiveRun.js"
import { Signals } from "../Signals.js"

/** A workflow of that name is registered in this executor already. A fault in the app's code. */
export class WorkflowAlreadyRegistered extends Data.TaggedError("WorkflowAlreadyRegistered")<{
  readonly workflow: string
}> {
  override get message() {
    return `workflow "${this.workflow}" is registered twice in one executor: two workflows have that name, or its layer is provided in two places`
  }
}

export interface Registry {
  readonly workflows: () => ReadonlyArray<Workflow.Any>
  /** The names of the workflows whose runs may be claimed. */
  readonly names: () => ReadonlyArray<string>
  readonly find: (workflow: string) => Registration | undefined
  /** Whether it is, or was, one of this executor, and not of another in this process. */
  readonly knows: (registration: Registration) => boolean
  /** Throws `WorkflowAlreadyRegistered`. */
  readonly add: (registration: Registration) => void
  /** Whenever there is one more. */
  readonly onAdded: (listener: () => void) => void
  /** None of its runs is begun any more, and no step of them. */
  readonly retire: (registration: Registration) => void
  readonly isRetiring: (registration: Registration) => boolean
  /** Its release is over. */
  readonly forget: (registration: Registration) => void
  /** All that are not forgotten. */
  readonly all: () => ReadonlyArray<Registration>
  /**
   * The deferred of that name, when the workflow has awaited it in this process or declares it
   * with the `Signals` annotation.
   */
  readonly deferred: (workflow: string, name: string) => Option.Option<DurableDeferred.Any>
  /** The workflow has awaited this deferred. */
  readonly noteDeferred: (workflow: string, deferred: DurableDeferred.Any) => void
}

/** A workflow may name its deferreds after its data; the oldest are forgotten. */
const rememberedDeferreds = 1_000

export const make = (): Registry => {
  const registered = new Map<string, Registration>()
  const retiring = new Set<Registration>()
  const known = new WeakSet<Registration>()
  const deferreds = new Map<string, DurableDeferred.Any>()
  const listeners = new Set<() => void>()

  return {
    workflows: () => Array.from(registered.values(), ({ workflow }) => workflow),
    names: () => [...registered.keys()],
    find: (workflow) => registered.get(workflow),
    knows: (registration) => known.has(registration),
    add: (registration) => {
      const { name } = registration.workflow
      if (registered.has(name)) throw new WorkflowAlreadyRegistered({ workflow: name })
      registered.set(name, registration)
      known.add(registration)
      for (const listener of listeners) listener()
    },
    onAdded: (listener) => {
      listeners.add(listener)
    },
    retire: (registration) => {
      registered.delete(registration.workflow.name)
      retiring.add(registration)
    },
    isRetiring: (registration) => retiring.has(registration),
    forget: (registration) => {
      retiring.delete(registration)
    },
    all: () => [...registered.values(), ...retiring],
    deferred: (workflow, name) =>
      Option.fromNullable(
        deferreds.get(`${workflow}/${name}`) ?? declared(registered.get(workflow), name)
      ),
    noteDeferred: (workflow, deferred) => {
      const key = `${workflow}/${deferred.name}`
      deferreds.delete(key)
      deferreds.set(key, deferred)
      if (deferreds.size <= rememberedDeferreds) return
      const [oldest = key] = deferreds.keys()
      deferreds.delete(oldest)
    }
  }
}

const declared = (registration: Registration | undefined, name: string) =>
  registration === undefined
    ? undefined
    : Context.get(registration.workflow.annotations, Signals).find(
        (deferred) => deferred.name === name
      )
