/** HTTP/1.1 on a bare connection: sends any bytes, and reads whatever comes back. */
import * as Net from "node:net"

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Server-sent events, which go on: of those only the head is read. */
export const isStream = ({ headers }: Answer): boolean =>
  headers.get("content-type")?.startsWith("text/event-stream") === true

/** How far it was read, and what of. `undefined` where more has to come. */
interface Read {
  readonly answer: Answer
  readonly end: number
}

const headEnd = Buffer.from("\r\n\r\n")

const readChunked = (bytes: Buffer, from: number): { body: string; end: number } | undefined => {
  const parts: Array<Buffer> = []
  let at = from
  while (true) {
    const lineEnd = bytes.indexOf("\r\n", at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (bytes.length < next) return undefined
    if (size === 0) return { body: Buffer.concat(parts).toString(), end: next }
    parts.push(bytes.subarray(lineEnd + 2, next - 2))
    at = next
  }
}

/** The first answer in these bytes that is final; those of status 1xx are passed over. */
const readAnswer = (bytes: Buffer, method: string, over: boolean): Read | undefined => {
  const end = bytes.indexOf(headEnd)
  if (end === -1) return undefined
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n")
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
  if (!(status >= 100)) throw new Error(`not an answer: ${statusLine}`)
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    })
  )
  const bodyAt = end + headEnd.length
  if (status < 200) {
    const next = readAnswer(bytes.subarray(bodyAt), method, over)
    return next === undefined ? undefined : { ...next, end: next.end + bodyAt }
  }
  const head = { status, headers, body: "" }
  const none = method === "HEAD" || status === 204 || status === 304 || isStream(head)
  const length = headers.get("content-length")
  if (none || length === "0") return { answer: head, end: bodyAt }
  if (headers.get("transfer-encoding") === "chunked") {
    const read = readChunked(bytes, bodyAt)
    return read && { answer: { ...head, body: read.body }, end: read.end }
  }
  const bodyEnd = length === undefined ? bytes.length : bodyAt + Number(length)
  if (length === undefined ? !over : bytes.length < bodyEnd) return undefined
  return {
    answer: { ...head, body: bytes.toString("utf8", bodyAt, bodyEnd) },
    end: bodyEnd
  }
}

/** One connection. */
export class Wire {
  private received: Buffer = Buffer.alloc(0)
  private over = false
  private look: () => void = () => {}

  private constructor(private readonly socket: Net.Socket) {
    socket.on("error", () => {})
    socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.look()
    })
    // it half-closed: nothing more comes
    socket.once("end", () => this.end())
    socket.once("close", () => this.end())
  }

  private end() {
    this.over = true
    this.look()
  }

  static connect(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = Net.connect({ port, host: "127.0.0.1", noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => resolve(new Wire(socket)))
    })
  }

  get isOpen(): boolean {
    return !this.over && this.socket.writable
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** Nothing more is sent. */
  halfClose(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** The next answer; `undefined` where the connection ends before it. Fails when neither comes. */
  answer(method: string, patience: number): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        this.look = () => {}
      }
      const timer = setTimeout(() => {
        done()
        reject(new Error(`neither an answer nor an end in ${patience} ms`))
      }, patience)
      this.look = () => {
        try {
          const read = readAnswer(this.received, method, this.over)
          if (read === undefined && !this.over) return
          done()
          if (read !== undefined) this.received = this.received.subarray(read.end)
          resolve(read?.answer)
        } catch (error) {
          done()
          reject(error)
        }
      }
      this.look()
    })
  }
}
