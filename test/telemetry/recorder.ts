/** A tracer that keeps what it is told. */
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export interface Recorded extends Tracer.Span {
  exit: Exit.Exit<unknown, unknown> | undefined
  /** Its attributes and events in their order, also those that were set anew. */
  readonly told: Array<readonly [name: string, value: unknown]>
}

let spansEver = 0

export const recorder = () => {
  const spans: Array<Recorded> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const span: Recorded = {
        _tag: "Span",
        name,
        parent,
        context,
        links,
        kind,
        status: { _tag: "Started", startTime },
        attributes,
        // in all processes of a test, as random ones are
        spanId: String(++spansEver).padStart(16, "0"),
        traceId: Option.match(parent, {
          onNone: () => `root${spansEver}`.padStart(32, "0"),
          onSome: ({ traceId }) => traceId
        }),
        sampled: true,
        exit: undefined,
        told: [],
        end: (_, exit) => {
          span.exit = exit
        },
        attribute: (key, value) => {
          attributes.set(key, value)
          span.told.push([key, value])
        },
        event: (name, _, attributes) => void span.told.push([name, attributes]),
        addLinks: () => {}
      }
      spans.push(span)
      return span
    },
    context: (run) => run()
  })
  return {
    tracer,
    spans,
    named: (name: string) => spans.filter((span) => span.name === name),
    /** The names of the spans above this one, the nearest first; also of those it knows by id. */
    above: (span: Tracer.Span): ReadonlyArray<string> => {
      const names: Array<string> = []
      let parent = Option.getOrUndefined(span.parent)
      while (parent !== undefined) {
        const { spanId } = parent
        const known = spans.find((other) => other.spanId === spanId)
        names.push(known?.name ?? `external ${spanId}`)
        parent = known === undefined ? undefined : Option.getOrUndefined(known.parent)
      }
      return names
    }
  }
}
