/** How a run is to be started, beside its payload: as it is written in a form, and what is sent of it. */
import * as Duration from "effect/Duration"
import * as Attributes from "../../api/Attributes.js"
import type { RunView } from "../../api/RunView.js"
import {
  maxAttributeLength,
  maxLabelLength,
  maxLabels,
  type OnConflict,
  type StartOptionsBody
} from "../../api/StartOptions.js"
import { durationProblem, millisOfDuration, textOfDuration } from "../parts/Durations.js"
import { inexactNumber } from "../schema/ExactNumbers.js"

/** What is in the form's fields; an empty one is not said. */
export interface Written {
  readonly begins: "now" | "at" | "after"
  /** ISO 8601. */
  readonly startAt: string | undefined
  readonly delay: string
  readonly priority: string
  readonly timeout: string
  /** One a line. */
  readonly tags: string
  /** One a line, as `name=value`; see `Attributes`. */
  readonly attributes: string
  readonly onConflict: OnConflict
  readonly ignorePayload: boolean
}

export const none: Written = {
  begins: "now",
  startAt: undefined,
  delay: "",
  priority: "",
  timeout: "",
  tags: "",
  attributes: "",
  onConflict: "use",
  ignorePayload: false
}

/** A text that a line would not hold as it is has quotes, as JSON has them. */
const line = (text: string) => (plain(text) === text && text !== "" ? text : JSON.stringify(text))

const plain = (line: string): string => {
  const trimmed = line.trim()
  if (/^".*"$/.test(trimmed)) {
    try {
      return String(JSON.parse(trimmed))
    } catch {
      return trimmed
    }
  }
  return /[\r\n]/.test(trimmed) ? "" : trimmed
}

const attributeLine = ([name, value]: readonly [string, string | number | boolean]) =>
  typeof value === "string" && line(value) !== value
    ? `${name}=${JSON.stringify(value)}`
    : Attributes.text([name, value])

const linesOf = (text: string) =>
  text
    .split("\n")
    .map((one) => one.trim())
    .filter((one) => one !== "")

/** As another run was started; when, and what became of one that was there, is its own. */
export const ofRun = ({ attributes = {}, priority, tags = [], timeout }: RunView): Written => ({
  ...none,
  priority: priority === undefined ? "" : String(priority),
  timeout: timeout === undefined ? "" : textOfDuration(timeout),
  tags: tags.map(line).join("\n"),
  attributes: Object.entries(attributes).map(attributeLine).join("\n")
})

/** Names of the fields of which something is said. */
export const said = (written: Written): ReadonlyArray<string> => [
  ...(written.begins === "now" ? [] : ["when it begins"]),
  ...(["priority", "timeout", "tags", "attributes"] as const).filter(
    (name) => written[name].trim() !== ""
  ),
  ...(written.onConflict === "use" && !written.ignorePayload ? [] : ["what if there is one"])
]

export type FieldName = "startAt" | "delay" | "priority" | "timeout" | "tags" | "attributes"

export type Problems = Partial<Record<FieldName | "onConflict", string>>

const mostPriority = 1_000_000

const priorityProblem = (text: string) =>
  text === "" || (/^[-+]?\d+$/.test(text) && Math.abs(Number(text)) <= mostPriority)
    ? undefined
    : `${text} is not a whole number from -1,000,000 to 1,000,000`

const tooMany = (lines: ReadonlyArray<string>, what: string) =>
  lines.length > maxLabels ? `${lines.length} ${what}; at most ${maxLabels} are allowed` : undefined

const tooLong = (text: string, what: string, most: number) =>
  text.length > most
    ? `The ${what} ${text.slice(0, 20)}… has ${text.length} characters; at most ${most} are allowed`
    : undefined

const firstOf = (problems: ReadonlyArray<string | undefined>) =>
  problems.find((problem) => problem !== undefined)

const tagsProblem = (lines: ReadonlyArray<string>) =>
  tooMany(lines, "tags") ??
  firstOf(
    lines.map((line) =>
      plain(line) === "" ? "A tag cannot be empty" : tooLong(plain(line), "tag", maxLabelLength)
    )
  )

const attributeProblem = (given: string) => {
  const [name, value] = Attributes.parse(given)
  if (name === "") return `${given} has no name in front of its =`
  const inexact =
    typeof value === "number" ? inexactNumber(given.slice(name.length + 1)) : undefined
  if (inexact !== undefined) {
    return `The number ${inexact} would arrive as ${Number(inexact)}: in quotes it keeps its digits`
  }
  return (
    tooLong(name, "name", maxLabelLength) ??
    (typeof value === "string" ? tooLong(value, "text", maxAttributeLength) : undefined)
  )
}

const attributesProblem = (lines: ReadonlyArray<string>) => {
  const names = lines.map((line) => Attributes.parse(line)[0])
  const twice = names.find((name, index) => names.indexOf(name) < index)
  return (
    tooMany(lines, "attributes") ??
    firstOf(lines.map(attributeProblem)) ??
    (twice === undefined ? undefined : `${twice} is said twice`)
  )
}

/** What is wrong with what is written, by its field; none: it can be sent. */
export const problems = (written: Written): Problems => {
  const found: Problems = {
    ...(written.begins === "at" && written.startAt === undefined
      ? { startAt: "Say at which time" }
      : {}),
    ...(written.begins === "after" ? ifAny("delay", durationProblem(written.delay)) : {}),
    ...ifAny("priority", priorityProblem(written.priority.trim())),
    ...(written.timeout.trim() === "" ? {} : ifAny("timeout", durationProblem(written.timeout))),
    ...ifAny("tags", tagsProblem(linesOf(written.tags))),
    ...ifAny("attributes", attributesProblem(linesOf(written.attributes)))
  }
  return found
}

const ifAny = (name: FieldName, problem: string | undefined): Problems =>
  problem === undefined ? {} : { [name]: problem }

const durationOf = (name: "delay" | "timeout", text: string) => {
  const millis = millisOfDuration(text)
  return millis === undefined ? {} : { [name]: Duration.millis(millis) }
}

const beginOf = ({ begins, delay, startAt }: Written): StartOptionsBody => {
  switch (begins) {
    case "now":
      return {}
    case "at":
      return startAt === undefined ? {} : { startAt: new Date(startAt) }
    case "after":
      return durationOf("delay", delay)
  }
}

/** Of what has no problems; `undefined`: nothing is said. */
export const read = (written: Written): StartOptionsBody | undefined => {
  const { ignorePayload, onConflict, priority, timeout } = written
  const tags = linesOf(written.tags).map(plain)
  const attributes = linesOf(written.attributes).map(Attributes.parse)
  const body: StartOptionsBody = {
    ...beginOf(written),
    ...(priority.trim() === "" ? {} : { priority: Number(priority) }),
    ...durationOf("timeout", timeout),
    ...(tags.length === 0 ? {} : { tags }),
    ...(attributes.length === 0 ? {} : { attributes: Object.fromEntries(attributes) }),
    ...(onConflict === "use" ? {} : { onConflict }),
    ...(onConflict === "use" && ignorePayload ? { ignorePayload } : {})
  }
  return Object.keys(body).length === 0 ? undefined : body
}

/** What the executor's refusals of options begin with. */
const begun: ReadonlyArray<readonly [RegExp, FieldName | "onConflict"]> = [
  [/^startAt\b/, "startAt"],
  [/^delay\b/, "delay"],
  [/^priority\b/, "priority"],
  [/^timeout\b/, "timeout"],
  [/^(?:the tag|\d+ tags)\b/, "tags"],
  [/^(?:the attribute|\d+ attributes)\b/, "attributes"],
  [/^ignorePayload\b/, "onConflict"]
]

/** The field that a refusal is about; `undefined`: none of these. */
export const fieldOf = ({
  message,
  tag
}: {
  readonly tag: string
  readonly message: string
}): FieldName | "onConflict" | undefined => {
  if (tag === "RunExists" || tag === "PayloadDiffers") return "onConflict"
  if (tag !== "InvalidOptions") return undefined
  return begun.find(([pattern]) => pattern.test(message))?.[1]
}
