/**
 * Reads a body of server-sent events, as far as they matter here: `id`, `event` and `data`.
 *
 * Not by `Sse` of `@effect/experimental`: that leaves out an `id` without data, by which an executor
 * says every 15 seconds where to go on, dies of what is too large, and waits as long as the other side
 * asks it to (`retry`).
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export interface Message {
  /** The newest `id` so far, which may have come without an event. */
  readonly lastEventId: string | undefined
  readonly event: string
  /** `undefined`: only the id is new. */
  readonly data: string | undefined
}

/** A line, or an event, of more characters than are taken: what answers is no executor. */
export class EventTooLarge extends Data.TaggedError("EventTooLarge")<{
  readonly maxLength: number
}> {
  override get message() {
    return `An event has more than ${this.maxLength} characters`
  }
}

/** Far above what an executor tells of a run at once, which is 4 MiB and its outlines. */
const longest = 16 * 1024 * 1024

interface Reading extends Message {
  readonly isIdNew: boolean
}

const begin = (lastEventId: string | undefined): Reading => ({
  lastEventId,
  isIdNew: false,
  event: "message",
  data: undefined
})

const readLine = (reading: Reading, line: string): Reading => {
  const [, field = "", value = ""] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line) ?? []
  switch (field) {
    case "id":
      return { ...reading, lastEventId: value, isIdNew: true }
    case "event":
      return { ...reading, event: value }
    case "data":
      return { ...reading, data: reading.data === undefined ? value : `${reading.data}\n${value}` }
    default:
      return reading
  }
}

const tooLarge = (maxLength: number) => Effect.fail(new EventTooLarge({ maxLength }))

/** Fails of a line that does not end: whoever splits lines keeps all of it. */
const boundedLines =
  (maxLength: number) =>
  <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E | EventTooLarge, R> =>
    Stream.mapAccumEffect(text, 0, (pending, part) => {
      const end = part.lastIndexOf("\n")
      const now = end === -1 ? pending + part.length : part.length - end - 1
      return now > maxLength ? tooLarge(maxLength) : Effect.succeed([now, part] as const)
    })

/**
 * What comes after the last empty line was cut short, and is left aside.
 *
 * @param maxLength how many characters a line or an event may have. Default: 16 million
 */
export const read = <E, R>(
  body: Stream.Stream<Uint8Array, E, R>,
  maxLength: number = longest
): Stream.Stream<Message, E | EventTooLarge, R> =>
  body.pipe(
    Stream.decodeText(),
    boundedLines(maxLength),
    Stream.splitLines,
    Stream.mapAccumEffect(begin(undefined), (reading, line) => {
      if (line === "") {
        const isTold = reading.data !== undefined || reading.isIdNew
        const message = isTold ? Option.some<Message>(reading) : Option.none<Message>()
        return Effect.succeed([begin(reading.lastEventId), message] as const)
      }
      const next = readLine(reading, line)
      return (next.data?.length ?? 0) > maxLength
        ? tooLarge(maxLength)
        : Effect.succeed([next, Option.none<Message>()] as const)
    }),
    Stream.filterMap((message) => message)
  )
