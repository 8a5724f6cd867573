/** A network between a process and a server that takes its time. */
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"

export interface Network {
  /** As the server's URL, by way of it. */
  readonly url: string
  readonly close: () => void
}

/**
 * @param to the URL of the server
 * @param millis what everything takes, each way
 */
export const slow = async (to: string, millis: number): Promise<Network> => {
  const target = new URL(to)
  const sockets = new Set<Socket>()
  // timers of one duration fire in the order in which they were set
  const later = (act: () => void) => void setTimeout(act, millis)
  const pass = (from: Socket, on: Socket) => {
    sockets.add(from)
    from.setNoDelay(true)
    from.on("data", (chunk) => later(() => on.writable && on.write(chunk)))
    from.on("end", () => later(() => on.end()))
    from.on("error", () => on.destroy())
    from.on("close", () => {
      sockets.delete(from)
      later(() => on.destroy())
    })
  }
  const server = createServer((client) => {
    const there = connect(Number(target.port), target.hostname)
    pass(client, there)
    pass(there, client)
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const by = new URL(to)
  by.port = String(address.port)
  return {
    url: by.href,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}
