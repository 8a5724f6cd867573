/** What is on top in the CPU profiles of a case. Open the files themselves in Chrome's DevTools. */
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const shown = 30

export const summary = async (folder: string): Promise<string> => {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".cpuprofile")).sort()
  const parts: Array<string> = []
  for (const name of names) {
    const profile: Profile = JSON.parse(await readFile(join(folder, name), "utf8"))
    parts.push(`\n${join(folder, name)}`, ...top(profile))
  }
  return parts.join("\n")
}

/** By self time, without the time in which nothing was done. */
const top = ({ nodes, samples, timeDeltas }: Profile): ReadonlyArray<string> => {
  const places = new Map(
    nodes.map(({ callFrame: { functionName, lineNumber, url }, id }) => {
      const file = url.replace(/^.*\/node_modules\/(?!\.cache)|^.*\/\.cache\/bench\//, "")
      return [id, `${functionName || "(anonymous)"}  ${file}:${lineNumber + 1}`]
    })
  )
  const times = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const place = places.get(id) ?? "?"
    if (place.startsWith("(idle)") || place.startsWith("(program)")) return
    const micros = timeDeltas[index] ?? 0
    times.set(place, (times.get(place) ?? 0) + micros)
    total += micros
  })
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, shown)
    .map(([place, micros]) => `${((100 * micros) / total).toFixed(1).padStart(6)} %  ${place}`)
}
