/**
 * A child process: opens the task that it is started with, then answers its parent one question at
 * a time. Ends with its parent.
 */
import { inspect } from "node:util"
import type { FromChild, ToChild } from "./Messages.js"
import type { Session } from "./Session.js"

const send = (message: FromChild) =>
  new Promise<void>((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) =>
      error === null ? resolve() : reject(error)
    )
  })

const fail = async (error: unknown) => {
  await send({ _tag: "Failed", error: inspect(error, { depth: 6 }) })
  process.exit(1)
}

process.once("disconnect", () => process.exit(1))

const [task = "", params = "{}"] = process.argv.slice(2)

try {
  const module: { open: (params: unknown) => Promise<Session<unknown, unknown>> } = await import(
    `../tasks/${task}.js`
  )
  const session = await module.open(JSON.parse(params))
  const answer = async (message: ToChild) => {
    if (message._tag === "Ask") {
      await send({ _tag: "Answer", output: await session.ask(message.input) })
    } else {
      await session.close()
      await send({ _tag: "Closed" })
      process.exit(0)
    }
  }
  process.on("message", (message: ToChild) => void answer(message).catch(fail))
  await send({ _tag: "Opened" })
} catch (error) {
  await fail(error)
}
