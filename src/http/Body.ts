/**
 * Reading a request's JSON body up to a limit.
 *
 * The platform's own reading destroys the connection when its limit is passed, so that the client
 * sees a reset instead of an answer, and buffers what it read until then. Here the rest of a body
 * that is too large is thrown away unread, within bounds, so that the answer arrives and the
 * connection can go on.
 */

import { IncomingMessage } from "node:http"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { InvalidJson, PayloadTooLarge, UnsupportedMediaType } from "../api/Api.js"

/** Bytes of a request body; 1 MiB. */
export const defaultMaxBodySize = 1024 * 1024

/** Bytes of a body that is too large that are thrown away before the connection is cut; 16 MiB. */
const discardLimit = 16 * 1024 * 1024

const tooLarge = (limit: number) =>
  new PayloadTooLarge({ limit, message: `The body is larger than ${limit} bytes` })

/** Lets the rest of a body pass, so that the client gets to read the answer. */
const discard = (source: IncomingMessage) => {
  let left = discardLimit
  source.on("data", (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) source.socket.destroy()
  })
  source.resume()
}

const readNode = (source: IncomingMessage, limit: number) =>
  Effect.async<Uint8Array, PayloadTooLarge>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) {
        chunks.push(chunk)
        return
      }
      stop()
      discard(source)
      resume(Effect.fail(tooLarge(limit)))
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    }
    // the client went away: nobody is left to answer
    const onClose = () => {
      stop()
      resume(Effect.interrupt)
    }
    const stop = () => {
      source.off("data", onData)
      source.off("end", onEnd)
      source.off("close", onClose)
    }
    source.on("data", onData)
    source.on("end", onEnd)
    source.on("close", onClose)
    return Effect.sync(stop)
  })

const readStream = (
  stream: Stream.Stream<Uint8Array, HttpServerError.RequestError>,
  limit: number
) =>
  stream.pipe(
    Stream.mapAccumEffect(0, (size, chunk) =>
      size + chunk.length > limit
        ? Effect.fail(tooLarge(limit))
        : Effect.succeed([size + chunk.length, chunk] as const)
    ),
    Stream.runCollect,
    Effect.map((chunks) => Buffer.concat(Chunk.toReadonlyArray(chunks)))
  )

const read = (request: HttpServerRequest.HttpServerRequest, limit: number) =>
  Effect.suspend((): Effect.Effect<Uint8Array, PayloadTooLarge | HttpServerError.RequestError> => {
    const { source } = request
    const isNode = source instanceof IncomingMessage
    if (Number(request.headers["content-length"] ?? 0) > limit) {
      if (isNode) discard(source)
      return Effect.fail(tooLarge(limit))
    }
    return isNode ? readNode(source, limit) : readStream(request.stream, limit)
  })

/**
 * Levels of arrays and objects that a body may have: schemas, and whatever writes a value down, go
 * down them by recursion, and the stack has an end.
 */
export const maxDepth = 500

const isTooDeep = (json: string): boolean => {
  let depth = 0
  let isInString = false
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') isInString = !isInString
    else if (isInString) {
      if (character === "\\") at++
    } else if (character === "[" || character === "{") {
      if (++depth > maxDepth) return true
    } else if (character === "]" || character === "}") depth--
  }
  return false
}

const isJson = /^application\/json *(;|$)/i

/** Keeps nothing between two texts: each is decoded whole. */
const utf8 = new TextDecoder("utf-8", { fatal: true })

const parse = (bytes: Uint8Array) =>
  Effect.try({
    try: (): unknown => {
      const text = utf8.decode(bytes)
      if (isTooDeep(text)) throw new Error(`it is nested deeper than ${maxDepth} levels`)
      return text.trim() === "" ? {} : JSON.parse(text)
    },
    catch: (cause) =>
      new InvalidJson({
        message: `The body cannot be read as JSON: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

const unsupported = Effect.die(
  new UnsupportedMediaType({
    message: "The body must be JSON; send it with `Content-Type: application/json`"
  })
)

/** What becomes of a request's body here; the rest of a request is the platform's. */
const bodyOf = (
  limit: number
): PropertyDescriptorMap & ThisType<HttpServerRequest.HttpServerRequest> => ({
  json: {
    get() {
      const type = this.headers["content-type"]
      return type === undefined || isJson.test(type)
        ? Effect.orDie(Effect.flatMap(read(this, limit), parse))
        : unsupported
    }
  },
  text: { value: unsupported },
  urlParamsBody: { value: unsupported },
  arrayBuffer: { value: unsupported },
  multipart: { value: unsupported }
})

/**
 * A request whose body is read as JSON, up to `limit` bytes; an empty one is an empty object.
 *
 * The platform takes what goes wrong with a body for a defect and looks a defect up among the API's
 * errors, so that is how these are raised: they end as the answers that `Api` defines for them.
 */
export const limited = (limit: number) => {
  const body = bodyOf(limit)
  // a class for each of the platform's: objects with a prototype each would have a shape each, and
  // all that reads them would be slow
  const classes = new WeakMap<object, object>()
  const classOver = (platforms: object): object => {
    const known = classes.get(platforms)
    if (known !== undefined) return known
    const made = Object.create(platforms, body)
    classes.set(platforms, made)
    return made
  }
  return (request: HttpServerRequest.HttpServerRequest): HttpServerRequest.HttpServerRequest => {
    const above: object = Object.getPrototypeOf(request)
    // an app's own object over a request is read through that, whatever it has hidden
    return HttpServerRequest.TypeId in above
      ? Object.create(request, body)
      : Object.assign(Object.create(classOver(above)), request)
  }
}
