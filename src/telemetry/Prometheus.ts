/**
 * Effect's metrics in the text format of Prometheus, version 0.0.4.
 */
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

export { prometheus as contentType } from "../api/MediaTypes.js"

type Label = readonly [name: string, value: string]

interface Family {
  readonly type: "counter" | "gauge" | "histogram" | "summary" | "untyped"
  readonly help: string | undefined
  readonly samples: Array<string>
}

/** What is not allowed in a name becomes `_`: the app's metrics may have any. */
const metricName = (name: string) => name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_")

const labelName = (name: string) => name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_")

const escapeHelp = (text: string) => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const escapeLabel = (text: string) => escapeHelp(text).replace(/"/g, '\\"')

const number = (value: number | bigint) =>
  value === Number.POSITIVE_INFINITY
    ? "+Inf"
    : value === Number.NEGATIVE_INFINITY
      ? "-Inf"
      : String(value)

const sample = (name: string, labels: ReadonlyArray<Label>, value: number | bigint) => {
  const written = labels.map(([label, text]) => `${label}="${escapeLabel(text)}"`).join(",")
  return `${name}${written === "" ? "" : `{${written}}`} ${number(value)}`
}

const typeOf = (state: MetricState.MetricState.Untyped): Family["type"] => {
  if (MetricState.isCounterState(state) || MetricState.isFrequencyState(state)) return "counter"
  if (MetricState.isGaugeState(state)) return "gauge"
  if (MetricState.isHistogramState(state)) return "histogram"
  return MetricState.isSummaryState(state) ? "summary" : "untyped"
}

const samples = (
  name: string,
  labels: ReadonlyArray<Label>,
  state: MetricState.MetricState.Untyped
): ReadonlyArray<string> => {
  if (MetricState.isCounterState(state)) return [sample(name, labels, state.count)]
  if (MetricState.isGaugeState(state)) return [sample(name, labels, state.value)]
  if (MetricState.isFrequencyState(state)) {
    return Array.from(state.occurrences, ([word, count]) =>
      sample(name, [...labels, ["key", word]], count)
    )
  }
  if (MetricState.isHistogramState(state)) {
    const buckets = state.buckets.filter(([boundary]) => Number.isFinite(boundary))
    return [
      ...[...buckets, [Number.POSITIVE_INFINITY, state.count] as const].map(([boundary, count]) =>
        sample(`${name}_bucket`, [...labels, ["le", number(boundary)]], count)
      ),
      sample(`${name}_sum`, labels, state.sum),
      sample(`${name}_count`, labels, state.count)
    ]
  }
  if (MetricState.isSummaryState(state)) {
    return [
      ...state.quantiles.map(([quantile, value]) =>
        sample(
          name,
          [...labels, ["quantile", String(quantile)]],
          Option.getOrElse(value, () => Number.NaN)
        )
      ),
      sample(`${name}_sum`, labels, state.sum),
      sample(`${name}_count`, labels, state.count)
    ]
  }
  return []
}

/**
 * The text of these metrics: those of one name together, as the format wants it. Of metrics that
 * have the same name and are of different types the first one's type counts, and the others are
 * left out: with them Prometheus would refuse it all.
 */
export const render = (pairs: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  for (const { metricKey, metricState } of pairs) {
    const name = metricName(metricKey.name)
    const type = typeOf(metricState)
    let family = families.get(name)
    if (family === undefined) {
      family = { type, help: Option.getOrUndefined(metricKey.description), samples: [] }
      families.set(name, family)
    }
    if (family.type !== type) continue
    const labels = metricKey.tags.map(({ key, value }): Label => [labelName(key), value])
    family.samples.push(...samples(name, labels, metricState))
  }
  let text = ""
  for (const name of [...families.keys()].sort()) {
    const family = families.get(name)
    if (family === undefined) continue
    const { help, samples, type } = family
    if (help !== undefined) text += `# HELP ${name} ${escapeHelp(help)}\n`
    text += `# TYPE ${name} ${type}\n${samples.join("\n")}\n`
  }
  return text
}
