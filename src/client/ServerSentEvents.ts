/**
 * Reads a body of server-sent events, as far as they matter here: `id`, `event` and `data`.
 */
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export interface Message {
  /** The newest `id` so far, which may have come without an event. */
  readonly lastEventId: string | undefined
  readonly event: string
  /** `undefined`: only the id is new. */
  readonly data: string | undefined
}

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

/** What comes after the last empty line was cut short, and is left aside. */
export const read = <E, R>(body: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Message, E, R> =>
  body.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.mapAccum(begin(undefined), (reading, line): [Reading, Option.Option<Message>] => {
      if (line !== "") return [readLine(reading, line), Option.none()]
      const isTold = reading.data !== undefined || reading.isIdNew
      return [begin(reading.lastEventId), isTold ? Option.some(reading) : Option.none()]
    }),
    Stream.filterMap((message) => message)
  )
