/** A value for a JSON Schema: by a form, or as JSON. */
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks"
import { fits, initial, ofSchema } from "./Fields.js"
import { Input, type Read, readJson } from "./Form.js"

export const ValueEditor = ({
  label,
  onChange,
  schema,
  value
}: {
  readonly label: string
  readonly schema: unknown
  /** What it begins with; by default what the schema's fields are when they are empty. */
  readonly value?: unknown
  readonly onChange: (read: Read) => void
}) => {
  const field = useMemo(() => ofSchema(schema), [schema])
  const [current, setCurrent] = useState(value === undefined ? initial(field) : value)
  const isFormPossible = field.kind !== "json" && fits(field, current)
  const [isForm, setForm] = useState(isFormPossible)
  const problems = useRef(new Map<string, string>())

  const tell = (value: unknown) => {
    const [problem] = problems.current.values()
    onChange(problem === undefined ? { problem: undefined, value } : { problem })
  }
  // what it begins with, once
  useEffect(() => tell(current), [])

  const change = (value: unknown) => {
    setCurrent(value)
    tell(value)
  }
  const note = (path: string, problem: string | undefined) => {
    for (const known of problems.current.keys()) {
      if (known === path || known.startsWith(`${path}/`)) problems.current.delete(known)
    }
    if (problem !== undefined) problems.current.set(path, problem)
    tell(current)
  }
  const show = (asForm: boolean) => {
    problems.current.clear()
    setForm(asForm)
    tell(current)
  }

  return (
    <div class="editor">
      <fieldset class="tabs">
        <legend class="sr-only">How to write the {label}</legend>
        <button
          type="button"
          aria-pressed={isForm}
          disabled={!isFormPossible}
          onClick={() => show(true)}
        >
          Form
        </button>
        <button type="button" aria-pressed={!isForm} onClick={() => show(false)}>
          JSON
        </button>
      </fieldset>
      {isForm && isFormPossible ? (
        <Input
          field={field}
          value={current}
          onChange={change}
          onProblem={note}
          path=""
          label={label}
          isRequired
          description={undefined}
        />
      ) : (
        <Raw label={label} value={current} onChange={change} onProblem={note} />
      )}
    </div>
  )
}

const Raw = ({
  label,
  onChange,
  onProblem,
  value
}: {
  readonly label: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly onProblem: (path: string, problem: string | undefined) => void
}) => {
  const id = useId()
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2))
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const change = (text: string) => {
    setText(text)
    const read = readJson(text)
    setProblem(read.problem)
    onProblem("", read.problem)
    if (read.problem === undefined) onChange(read.value)
  }
  return (
    <div class="field">
      <label for={id}>{label} as JSON</label>
      <textarea
        id={id}
        class="code"
        rows={10}
        spellcheck={false}
        value={text}
        aria-invalid={problem !== undefined}
        {...(problem === undefined ? {} : { "aria-describedby": `${id}-problem` })}
        onInput={(event) => change(event.currentTarget.value)}
      />
      {problem === undefined ? null : (
        <p class="wrong" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  )
}
