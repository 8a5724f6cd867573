/** A network between a store and its database that can be told what to do. */
import type { Socket } from "node:net"
import { connect, createServer } from "node:net"
import * as Effect from "effect/Effect"

export interface Proxy {
  /** As the database's URL, by way of it. */
  readonly url: string
  /** Cuts the connection off when the answer comes to the next statement that has this text in it. */
  readonly loseAnswerTo: (text: string) => void
  /** Nothing goes through any more, and nothing is closed. */
  readonly swallow: () => void
  /** The same from the next statement on that has this text in it; calls back when it came. */
  readonly swallowFrom: (text: string, came: () => void) => void
  /** All goes through again; what was connected meanwhile is cut off. */
  readonly restore: () => void
  /** How often something came to it for the database. */
  readonly asked: () => number
  /** How many answers were lost. */
  readonly lost: () => number
  /** Whoever connects from now on comes to this one; as where an address moves to another machine. */
  readonly moveTo: (url: string) => void
}

/** @param to the URL of the database */
export const make = (to: string) =>
  Effect.acquireRelease(
    Effect.async<Proxy & { readonly close: () => void }>((resume) => {
      let target = new URL(to)
      const sockets = new Set<Socket>()
      let awaited: string | undefined
      let last: { readonly text: string; readonly came: () => void } | undefined
      let asked = 0
      let lost = 0
      let swallows = false
      const server = createServer((client) => {
        const database = connect(Number(target.port), target.hostname)
        let loses = false
        const end = () => {
          client.destroy()
          database.destroy()
        }
        for (const socket of [client, database]) {
          sockets.add(socket)
          socket.on("error", end)
          socket.on("close", end)
        }
        client.on("data", (chunk) => {
          asked++
          if (last !== undefined && chunk.includes(last.text)) {
            swallows = true
            last.came()
            last = undefined
          }
          if (swallows) return
          if (awaited !== undefined && chunk.includes(awaited)) {
            awaited = undefined
            loses = true
          }
          database.write(chunk)
        })
        database.on("data", (chunk) => {
          if (swallows) return
          if (!loses) return client.write(chunk)
          lost++
          end()
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const url = new URL(to)
        url.port = address !== null && typeof address === "object" ? String(address.port) : ""
        resume(
          Effect.succeed({
            url: url.href,
            loseAnswerTo: (text) => {
              awaited = text
            },
            swallow: () => {
              swallows = true
            },
            swallowFrom: (text, came) => {
              last = { text, came }
            },
            restore: () => {
              swallows = false
              for (const socket of sockets) socket.destroy()
              sockets.clear()
            },
            asked: () => asked,
            lost: () => lost,
            moveTo: (url) => {
              target = new URL(url)
            },
            close: () => {
              server.close()
              for (const socket of sockets) socket.destroy()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
