/** One PostgreSQL for all tests of a run, started when the first of them asks for it. */
import { once } from "node:events"
import { createServer } from "node:http"
import type { TestProject } from "vitest/node"
import type { Server } from "./PostgresServer.js"
import { start } from "./PostgresServer.js"

declare module "vitest" {
  interface ProvidedContext {
    /** Answers with the URL of the server. */
    readonly postgres: string
  }
}

export default async (project: TestProject) => {
  let server: Promise<Server> | undefined
  const asked = createServer((_, response) => {
    server ??= start()
    server.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error))
    )
  }).listen(0, "127.0.0.1")
  await once(asked, "listening")
  const address = asked.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  project.provide("postgres", `http://127.0.0.1:${address.port}`)
  return async () => {
    asked.close()
    asked.closeAllConnections()
    await server?.then(({ stop }) => stop())
  }
}
