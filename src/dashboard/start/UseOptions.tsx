/** What is written of a start's options, and what is wrong with it: here, and by what the executor said. */
import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import { to } from "../Router.js"
import type { Problem as Told } from "../server/Server.js"
import { fieldOf, problems, type Written } from "./Options.js"

const shownAs = ({ message, runId }: Told): ComponentChildren =>
  runId === undefined ? (
    message
  ) : (
    <>
      <span class="text">{message}</span> <a href={to(["runs", runId])}>Open that run</a>
    </>
  )

export const useOptions = (begin: Written) => {
  const element = useRef<HTMLFormElement>(null)
  const [written, setWritten] = useState(begin)
  const [isOpen, setOpen] = useState(false)
  const [isTried, setTried] = useState(false)
  const [refused, setRefused] = useState<Readonly<Record<string, ComponentChildren>>>({})
  // how often something was wrong: each time its field is led to, once it is there to be seen
  const [wrongs, setWrongs] = useState(0)
  useEffect(() => {
    if (wrongs === 0) return
    element.current?.querySelector<HTMLElement>('.start-options [aria-invalid="true"]')?.focus()
  }, [wrongs])
  const lead = () => {
    setOpen(true)
    setWrongs((wrongs) => wrongs + 1)
  }

  return {
    element,
    written,
    isOpen,
    onOpen: setOpen,
    problems: { ...refused, ...(isTried ? problems(written) : {}) },
    onChange: (part: Partial<Written>) => {
      setRefused({})
      setWritten({ ...written, ...part })
    },
    /** Whether it can be sent; where not, the first field that is wrong has the focus. */
    tried: (): boolean => {
      setTried(true)
      const isWrong = Object.keys(problems(written)).length > 0
      if (isWrong) lead()
      return !isWrong
    },
    /** Whether it is about one of these fields, and shown there. */
    refused: (problem: Told): boolean => {
      const field = fieldOf(problem)
      if (field === undefined) return false
      setRefused({ [field]: shownAs(problem) })
      lead()
      return true
    }
  }
}
