import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import { render } from "../../src/telemetry/Prometheus.js"
import { parse, valueIn } from "./parse.js"

const rendered = (prefix: string) =>
  Effect.map(Metric.snapshot, (pairs) =>
    render(pairs.filter(({ metricKey }) => metricKey.name.startsWith(prefix)))
  )

describe("the text format", () => {
  it("of nothing is empty", () => {
    assert.strictEqual(render([]), "")
  })

  it.effect("has counters and gauges with their help and labels", () =>
    Effect.gen(function* () {
      const counter = Metric.counter("a_total", { description: "Of a." })
      yield* Metric.incrementBy(Metric.tagged(counter, "kind", "x"), 2)
      yield* Metric.incrementBy(Metric.tagged(counter, "kind", "y"), 3)
      yield* Metric.set(Metric.gauge("a_level"), -1.5)
      yield* Metric.incrementBy(Metric.counter("a_big", { bigint: true }), 2n ** 60n)
      assert.strictEqual(
        yield* rendered("a_"),
        `# TYPE a_big counter
a_big 1152921504606846976
# TYPE a_level gauge
a_level -1.5
# HELP a_total Of a.
# TYPE a_total counter
a_total{kind="x"} 2
a_total{kind="y"} 3
`
      )
    })
  )

  it.effect("has histograms whose buckets count up to all there is", () =>
    Effect.gen(function* () {
      const histogram = Metric.histogram("b_seconds", MetricBoundaries.fromIterable([0.5, 1]), "B")
      for (const value of [0.25, 0.5, 0.75, 8]) yield* Metric.update(histogram, value)
      assert.strictEqual(
        yield* rendered("b_"),
        `# HELP b_seconds B
# TYPE b_seconds histogram
b_seconds_bucket{le="0.5"} 2
b_seconds_bucket{le="1"} 3
b_seconds_bucket{le="+Inf"} 4
b_seconds_sum 9.5
b_seconds_count 4
`
      )
    })
  )

  it.effect("has the summaries and frequencies that an app may have", () =>
    Effect.gen(function* () {
      const summary = Metric.summary({
        name: "c_summary",
        maxAge: Duration.days(1),
        maxSize: 10,
        error: 0,
        quantiles: [0.5]
      })
      yield* Metric.update(summary, 3)
      yield* Metric.update(Metric.frequency("c_words"), "hello")
      const families = parse(yield* rendered("c_"))
      assert.strictEqual(valueIn(families, "c_summary", { quantile: "0.5" }), 3)
      assert.strictEqual(valueIn(families, "c_summary_count"), 1)
      assert.strictEqual(valueIn(families, "c_words", { key: "hello" }), 1)
    })
  )

  it.effect("survives any text, and gives it back", () =>
    Effect.gen(function* () {
      const text = `a\\b"c\nd{e="f"} # HELP`
      const counter = Metric.counter("d.total-of things", { description: text })
      yield* Metric.increment(Metric.tagged(counter, "the-label", text))
      const families = parse(yield* rendered("d"))
      assert.strictEqual(families.get("d_total_of_things")?.help, text)
      assert.strictEqual(valueIn(families, "d_total_of_things", { the_label: text }), 1)
    })
  )

  it.effect("has each name with one type", () =>
    Effect.gen(function* () {
      yield* Metric.increment(Metric.counter("e"))
      yield* Metric.set(Metric.gauge("e"), 7)
      assert.strictEqual(parse(yield* rendered("e")).get("e")?.samples.length, 1)
    })
  )
})
