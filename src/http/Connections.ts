/**
 * A Node HTTP server that knows what its connections are doing, so that it can be closed without
 * cutting an answer and without waiting for a client that has nothing to say.
 */
import * as Http from "node:http"
import type { Socket } from "node:net"

/**
 * Milliseconds that a client has, by Node's own timers: a request that is only half there must not
 * hold its connection for ever.
 */
const patience = {
  /** For the head of a request. */
  headersTimeout: 15_000,
  /** For a whole request, body included. */
  requestTimeout: 60_000,
  /** Between two requests; longer than what the usual proxies keep connections for. */
  keepAliveTimeout: 65_000,
  /** How often the first two are looked at. */
  connectionsCheckingInterval: 5_000
}

/**
 * Milliseconds without a byte either way after which a connection is closed; 2 minutes. Real time,
 * not Effect's Clock: it is the socket's own timeout, which Node restarts at every byte.
 */
const silence = 120_000

const notServing = `{"_tag":"NotAvailable","message":"The server is starting or stopping"}`

interface Connection {
  /** Requests whose answer has not been sent, or whose body is still coming. */
  underWay: number
  /** Bytes that had been read when the last of them was over. */
  bytesRead: number
}

export interface Connections {
  readonly server: Http.Server
  /** From now on an answer is the last one on its connection. */
  readonly lastAnswers: () => void
  /**
   * Stops listening and closes idle connections, now and when they become idle. `done` is called
   * when the last one is gone, or with what went wrong.
   */
  readonly close: (done: (error?: Error) => void) => void
  /** Cuts what is open; answers with how many connections those were. */
  readonly cut: () => number
}

export const make = (): Connections => {
  const server = Http.createServer(patience)
  server.setTimeout(silence)
  const connections = new Map<Socket, Connection>()
  const unsent = new Set<Http.ServerResponse>()
  let closing = false

  const closeIfIdle = (socket: Socket, { bytesRead, underWay }: Connection) => {
    // a byte more is the beginning of a request
    if (underWay === 0 && socket.bytesRead === bytesRead) socket.destroy()
  }

  const closeIdle = () => {
    for (const [socket, connection] of connections) closeIfIdle(socket, connection)
  }

  // Node's own takes an answer that is written but not sent for idle, and calls it when it closes
  server.closeIdleConnections = closeIdle

  server.on("connection", (socket: Socket) => {
    connections.set(socket, { underWay: 0, bytesRead: 0 })
    socket.once("close", () => connections.delete(socket))
  })

  // Whoever listens for upgrades, as the platform does, is given such a request without its body.
  // Nothing here upgrades: one that only offers to (`Upgrade: h2c`, of Java's client) is a request.
  server.on("newListener", (event, listener) => {
    if (event === "upgrade") process.nextTick(() => server.off("upgrade", listener))
  })

  const track = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const { socket } = request
    const connection = connections.get(socket)
    if (connection === undefined) return
    connection.underWay++
    unsent.add(response)
    const over = () => {
      connection.underWay--
      connection.bytesRead = socket.bytesRead
      if (closing) closeIfIdle(socket, connection)
    }
    response.once("close", () => {
      unsent.delete(response)
      if (request.complete) over()
      else request.once("end", over)
    })
  }

  // the first listener: the app's handler, which comes with `serve`, runs after it
  server.on("request", (request, response) => {
    track(request, response)
    // Node drops what comes in one piece with the end of a body whose request offers an upgrade
    if (closing || request.headers.upgrade !== undefined) response.shouldKeepAlive = false
    if (server.listenerCount("request") === 1) {
      response.writeHead(503, {
        "content-type": "application/json",
        "content-length": notServing.length,
        connection: "close"
      })
      response.end(notServing)
    }
  })

  return {
    server,
    lastAnswers: () => {
      closing = true
      for (const response of unsent) response.shouldKeepAlive = false
    },
    close: (done) => {
      closing = true
      server.close(done)
      closeIdle()
    },
    cut: () => {
      const open = [...connections.keys()].filter((socket) => !socket.destroyed)
      for (const socket of open) socket.destroy()
      return open.length
    }
  }
}
