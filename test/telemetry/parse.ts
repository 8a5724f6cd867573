/** A reader of Prometheus' text format that takes nothing it does not have to. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly type: string
  readonly help: string | undefined
  readonly samples: ReadonlyArray<Sample>
}

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"]
}

const unescaped = (text: string) =>
  text.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character))

const parseLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest)
    if (match === null) throw new Error(`no labels: ${rest}`)
    const [all, name = "", value = ""] = match
    if (name in labels) throw new Error(`label twice: ${text}`)
    labels[name] = unescaped(value)
    rest = rest.slice(all.length)
  }
  return labels
}

const parseNumber = (text: string) => {
  if (text === "+Inf") return Number.POSITIVE_INFINITY
  if (text === "-Inf") return Number.NEGATIVE_INFINITY
  if (text === "NaN") return Number.NaN
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text)) throw new Error(`no number: ${text}`)
  return Number(text)
}

/** Throws at whatever Prometheus would refuse, and at what it would take for something else. */
export const parse = (text: string): ReadonlyMap<string, Family> => {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end")
  const families = new Map<string, Family & { readonly samples: Array<Sample> }>()
  const seen = new Set<string>()
  let help: { readonly name: string; readonly text: string } | undefined
  let current: (Family & { readonly name: string; readonly samples: Array<Sample> }) | undefined
  for (const line of text.split("\n").slice(0, -1)) {
    const [, kind, name = "", told = ""] =
      /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line) ?? []
    if (kind === "HELP") {
      help = { name, text: unescaped(told) }
      continue
    }
    if (kind === "TYPE") {
      if (families.has(name)) throw new Error(`twice: ${name}`)
      if (!(told in suffixes)) throw new Error(`no type: ${line}`)
      current = { name, type: told, help: help?.name === name ? help.text : undefined, samples: [] }
      families.set(name, current)
      continue
    }
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null || current === undefined) throw new Error(`no sample: ${line}`)
    const [, sampleName = "", labels = "", value = ""] = match
    const { name: family, type } = current
    if (!suffixes[type]?.some((suffix) => sampleName === family + suffix)) {
      throw new Error(`${sampleName} is not of ${family}`)
    }
    const sample = { name: sampleName, labels: parseLabels(labels), value: parseNumber(value) }
    const series = JSON.stringify([sampleName, Object.entries(sample.labels).sort()])
    if (seen.has(series)) throw new Error(`series twice: ${line}`)
    seen.add(series)
    current.samples.push(sample)
  }
  return families
}

/** The value of the one series of this name with these labels among its own. */
export const valueIn = (
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number => {
  const found = [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
    )
  if (found.length !== 1) throw new Error(`${found.length} of ${name} ${JSON.stringify(labels)}`)
  return found[0]?.value ?? Number.NaN
}
