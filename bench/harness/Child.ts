/**
 * A child process that carries out a task: fresh, with garbage collection on demand, and nothing in
 * it but compiled JavaScript.
 */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Params, SessionOf, TaskName } from "../tasks/Tasks.js"
import type { Host } from "./Hosts.js"
import type { FromChild, ToChild } from "./Messages.js"

const ownWorker = fileURLToPath(new URL("./worker.js", import.meta.url))

/** Generous: a case that takes longer hangs. */
const answerTimeoutMillis = 900_000

const shownOutput = 4_000

export interface Place {
  /** This machine, when left out. */
  readonly host?: Host | undefined
  /** The module of another version; our own when left out. */
  readonly worker?: string | undefined
}

export interface Opener {
  readonly open: <Name extends TaskName>(
    task: Name,
    params: Params<Name>,
    place?: Place
  ) => Promise<SessionOf<Name> & { readonly kill: () => Promise<void> }>
  /** Ends what is still open. */
  readonly closeAll: () => Promise<void>
}

export interface ChildOptions {
  /** Is told what children print: in a measurement there should be nothing to say. */
  readonly warn: (text: string) => void
  /** A folder for a CPU profile of each child. */
  readonly profiles?: string | undefined
}

export const make = ({ profiles, warn }: ChildOptions): Opener => {
  const children = new Set<ChildProcess>()
  let opened = 0

  const profiling = (task: string, params: object) => {
    if (profiles === undefined) return []
    const engine = "engine" in params ? `-${params.engine}` : ""
    const name = `${String(++opened).padStart(2, "0")}-${task}${engine}.cpuprofile`
    return ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}`]
  }

  const open = async (task: TaskName, params: object, { host, worker = ownWorker }: Place = {}) => {
    const [execPath = "", ...before] = [...(host?.prefix ?? []), process.execPath]
    const child = fork(worker, [task, JSON.stringify(params)], {
      execPath,
      execArgv: [...before, "--expose-gc", ...profiling(task, params)],
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    children.add(child)
    child.once("exit", () => children.delete(child))
    let output = ""
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-shownOutput)
    }
    child.stdout?.on("data", keep)
    child.stderr?.on("data", keep)
    await answer(child, task)
    return {
      ask: async (input: unknown) => {
        tell(child, { _tag: "Ask", input })
        const message = await answer(child, task)
        return message._tag === "Answer" ? message.output : undefined
      },
      close: async () => {
        tell(child, { _tag: "Close" })
        await answer(child, task)
        // a profile is written on the way out
        await ended(child)
        if (output !== "") warn(`${task} ${JSON.stringify(params)} printed:\n${output}`)
      },
      kill: () => {
        child.kill("SIGKILL")
        return ended(child)
      }
    }
  }

  return {
    // the task's module says what goes in and what comes out
    open: open as Opener["open"],
    closeAll: async () => {
      await Promise.all(
        [...children].map((child) => {
          child.kill("SIGKILL")
          return ended(child)
        })
      )
    }
  }
}

const ended = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once("exit", () => resolve())
  })

const tell = (child: ChildProcess, message: ToChild) => {
  child.send(message)
}

const answer = (child: ChildProcess, task: string) =>
  new Promise<FromChild>((resolve, reject) => {
    const done = (end: () => void) => {
      clearTimeout(timer)
      child.off("message", onMessage)
      child.off("exit", onExit)
      end()
    }
    const onMessage = (message: FromChild) =>
      done(() =>
        message._tag === "Failed"
          ? reject(new Error(`${task} failed: ${message.error}`))
          : resolve(message)
      )
    const onExit = (code: number | null, signal: string | null) =>
      done(() => reject(new Error(`${task} ended by itself: ${signal ?? `exit code ${code}`}`)))
    const timer = setTimeout(
      () => done(() => reject(new Error(`${task} did not answer in ${answerTimeoutMillis} ms`))),
      answerTimeoutMillis
    )
    child.on("message", onMessage)
    child.once("exit", onExit)
  })
