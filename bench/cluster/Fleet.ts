/** The processes of one fault, and what their steps have told. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { freePort } from "../../test/support/PostgresServer.js"
import { pause, sharedMillis } from "../harness/Process.js"
import type { Told } from "./Order.js"
import type { Answer, Ask, Params, Question } from "./Runner.js"

const module = fileURLToPath(new URL("./Runner.js", import.meta.url))

export interface Runner {
  readonly pid: number
  /** Nothing, where no answer comes. */
  readonly ask: (ask: Ask) => Promise<ReadonlyArray<string>>
  readonly signal: (signal: NodeJS.Signals) => void
  /** When it ended. */
  readonly ended: Promise<number>
}

export interface Fleet {
  readonly add: () => Promise<Runner>
  readonly told: () => Promise<ReadonlyArray<Told>>
  readonly close: () => Promise<void>
}

/** A runner that does not answer is not waited for: it says nothing. */
const answerMillis = 10_000

let questions = 0

const asked = (child: ChildProcess, ask: Ask): Promise<ReadonlyArray<string>> =>
  new Promise((resolve) => {
    const question: Question = { number: questions++, ask }
    const listen = ({ number, told }: Answer) => {
      if (number !== question.number) return
      child.off("message", listen)
      resolve(told)
    }
    child.on("message", listen)
    child.send(question)
  })

export const make = (params: Omit<Params, "port">): Fleet => {
  const children = new Set<ChildProcess>()
  return {
    add: async () => {
      const argument: Params = { ...params, port: await freePort() }
      const child = fork(module, [JSON.stringify(argument)], {
        stdio: ["ignore", "ignore", "pipe", "ipc"]
      })
      let said = ""
      child.stderr?.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-2_000)
      })
      children.add(child)
      const ended = new Promise<number>((resolve) => {
        child.once("exit", () => {
          children.delete(child)
          resolve(sharedMillis())
        })
      })
      await Promise.race([
        once(child, "message"),
        ended.then(() => {
          throw new Error(`a runner ended before it was ready: ${said}`)
        })
      ])
      return {
        pid: child.pid ?? 0,
        ended,
        signal: (signal) => void child.kill(signal),
        ask: (ask) => Promise.race([asked(child, ask), pause(answerMillis).then(() => [])])
      }
    },
    told: async () => {
      const text = await readFile(params.file, "utf8").catch(() => "")
      // the last line may be half written
      const lines = text.split("\n").slice(0, -1)
      return lines.map((line): Told => JSON.parse(line))
    },
    close: async () => {
      const all = [...children]
      for (const child of all) child.kill("SIGKILL")
      await Promise.all(all.map((child) => once(child, "exit")))
    }
  }
}
