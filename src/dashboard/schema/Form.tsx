/** The inputs of a form that was made from a JSON Schema. */
import { useId, useState } from "preact/hooks"
import { inexactNumber, isExact } from "./ExactNumbers.js"
import { type Field, initial, type NamedField } from "./Fields.js"

export interface InputProps {
  readonly field: Field
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  /** Says that what is in it is no value; `undefined` that it is one again. */
  readonly onProblem: (path: string, problem: string | undefined) => void
  readonly path: string
  readonly label: string
  readonly isRequired: boolean
  readonly description: string | undefined
}

export const Input = (props: InputProps) => {
  switch (props.field.kind) {
    case "object":
      return <ObjectInput {...props} fields={props.field.fields} />
    case "list":
      return <ListInput {...props} item={props.field.item} />
    case "nothing":
      return <p class="muted">It has no value.</p>
    default:
      return <Single {...props} />
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const without = (record: Readonly<Record<string, unknown>>, name: string) =>
  Object.fromEntries(Object.entries(record).filter(([key]) => key !== name))

const ObjectInput = ({
  fields,
  label,
  onChange,
  onProblem,
  path,
  value
}: InputProps & { readonly fields: ReadonlyArray<NamedField> }) => {
  const record = isRecord(value) ? value : {}
  const set = (name: string, part: unknown) =>
    onChange(part === undefined ? without(record, name) : { ...record, [name]: part })
  const inputs = fields.map((one) => (
    <Optional
      key={one.name}
      one={one}
      value={record[one.name]}
      onChange={(part) => set(one.name, part)}
      onProblem={onProblem}
      path={`${path}/${one.name}`}
    />
  ))
  if (fields.length === 0) return <p class="muted">It has no fields.</p>
  return path === "" ? (
    <div class="fields">{inputs}</div>
  ) : (
    <fieldset>
      <legend>{label}</legend>
      <div class="fields">{inputs}</div>
    </fieldset>
  )
}

/** A field that may be left out is there when somebody says so. */
const Optional = ({
  one: { description, field, isRequired, name },
  onChange,
  onProblem,
  path,
  value
}: Pick<InputProps, "value" | "onChange" | "onProblem" | "path"> & {
  readonly one: NamedField
}) => {
  const [isGiven, setGiven] = useState(value !== undefined)
  const input = (
    <Input
      field={field}
      value={value}
      onChange={onChange}
      onProblem={onProblem}
      path={path}
      label={name}
      isRequired={isRequired}
      description={description}
    />
  )
  if (isRequired) return input
  const give = (given: boolean) => {
    setGiven(given)
    onProblem(path, undefined)
    onChange(given ? initial(field) : undefined)
  }
  return (
    <div class="optional">
      <label class="check">
        <input
          type="checkbox"
          checked={isGiven}
          onChange={(event) => give(event.currentTarget.checked)}
        />
        give <code>{name}</code>
      </label>
      {isGiven ? input : null}
    </div>
  )
}

const ListInput = ({
  item,
  label,
  onChange,
  onProblem,
  path,
  value
}: InputProps & { readonly item: Field }) => {
  const list: ReadonlyArray<unknown> = Array.isArray(value) ? value : []
  return (
    <fieldset>
      <legend>{label}</legend>
      {list.map((one, index) => (
        // an item is what its place says
        <div class="list-item" key={index}>
          <Input
            field={item}
            value={one}
            onChange={(changed) => onChange(list.with(index, changed))}
            onProblem={onProblem}
            path={`${path}/${index}`}
            label={`${label} ${index + 1}`}
            isRequired
            description={undefined}
          />
          <button
            type="button"
            aria-label={`Remove ${label} ${index + 1}`}
            onClick={() => onChange(list.filter((_, other) => other !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <button type="button" onClick={() => onChange([...list, initial(item)])}>
        Add one
      </button>
    </fieldset>
  )
}

const Single = ({
  description,
  field,
  isRequired,
  label,
  onChange,
  onProblem,
  path,
  value
}: InputProps) => {
  const id = useId()
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const tell = (problem: string | undefined) => {
    setProblem(problem)
    onProblem(path, problem)
  }
  const described = [
    ...(description === undefined ? [] : [`${id}-about`]),
    ...(problem === undefined ? [] : [`${id}-problem`])
  ].join(" ")
  const common = {
    id,
    "aria-invalid": problem !== undefined,
    ...(described === "" ? {} : { "aria-describedby": described })
  }
  return (
    <div class="field">
      <label for={id}>
        {label}
        {isRequired ? null : <span class="muted"> (optional)</span>}
      </label>
      <Control field={field} value={value} common={common} onChange={onChange} tell={tell} />
      {description === undefined ? null : (
        <p class="muted about" id={`${id}-about`}>
          {description}
        </p>
      )}
      {problem === undefined ? null : (
        <p class="wrong" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  )
}

interface ControlProps {
  readonly field: Field
  readonly value: unknown
  readonly common: { readonly id: string; readonly "aria-invalid": boolean }
  readonly onChange: (value: unknown) => void
  readonly tell: (problem: string | undefined) => void
}

const Control = ({ common, field, onChange, tell, value }: ControlProps) => {
  switch (field.kind) {
    case "boolean":
      return (
        <input
          {...common}
          type="checkbox"
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      )
    case "choice":
      return (
        <select
          {...common}
          value={String(indexOf(field.choices, value))}
          onChange={(event) => onChange(field.choices[Number(event.currentTarget.value)])}
        >
          {field.choices.map((choice, index) => (
            <option key={String(choice)} value={index}>
              {String(choice)}
            </option>
          ))}
        </select>
      )
    case "number":
      return <NumberControl {...{ common, field, onChange, tell, value }} />
    case "text":
      return (
        <textarea
          {...common}
          rows={1}
          value={typeof value === "string" ? value : ""}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )
    default:
      return <JsonControl {...{ common, field, onChange, tell, value }} />
  }
}

const indexOf = (choices: ReadonlyArray<unknown>, value: unknown) => choices.indexOf(value)

/** JavaScript reads others too, such as `0x1F`, of which nobody could say whether they are exact. */
const decimal = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/

const NumberControl = ({ common, field, onChange, tell, value }: ControlProps) => {
  const [text, setText] = useState(value === undefined ? "" : String(value))
  const isInteger = field.kind === "number" && field.isInteger
  const change = (text: string) => {
    setText(text)
    const written = text.trim()
    const number = Number(written)
    if (!decimal.test(written)) return tell("A number is needed")
    if (isInteger && !Number.isInteger(number)) return tell("A whole number is needed")
    if (!isExact(written)) return tell(`${written} would arrive as ${number}`)
    tell(undefined)
    onChange(number)
  }
  return (
    <input
      {...common}
      type="text"
      inputMode={isInteger ? "numeric" : "decimal"}
      value={text}
      required
      onInput={(event) => change(event.currentTarget.value)}
    />
  )
}

const JsonControl = ({ common, onChange, tell, value }: ControlProps) => {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2))
  const change = (text: string) => {
    setText(text)
    const read = readJson(text)
    tell(read.problem)
    if (read.problem === undefined) onChange(read.value)
  }
  return (
    <textarea
      {...common}
      class="code"
      rows={4}
      spellcheck={false}
      value={text}
      required
      onInput={(event) => change(event.currentTarget.value)}
    />
  )
}

export type Read =
  | { readonly problem: undefined; readonly value: unknown }
  | { readonly problem: string }

/** JSON whose numbers arrive as they are written. */
export const readJson = (text: string): Read => {
  try {
    const value: unknown = JSON.parse(text)
    const inexact = inexactNumber(text)
    return inexact === undefined
      ? { problem: undefined, value }
      : {
          problem: `The number ${inexact} would arrive as ${Number(inexact)}: a text keeps its digits`
        }
  } catch (error) {
    return { problem: `Not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}
