/** The fields of a start that are no payload; folded until somebody wants one. */
import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"
import { conflicts } from "../../api/StartOptions.js"
import { Field, TextField } from "../parts/Field.js"
import { isoOf, localOf } from "../runs/Filters.js"
import { said, type Written } from "./Options.js"

/** What is wrong, by the field. */
export type Shown = Readonly<Partial<Record<string, ComponentChildren>>>

interface Props {
  readonly written: Written
  readonly problems: Shown
  readonly onChange: (part: Partial<Written>) => void
}

export const OptionFields = ({
  isOpen,
  onOpen,
  ...props
}: Props & { readonly isOpen: boolean; readonly onOpen: (isOpen: boolean) => void }) => {
  const names = said(props.written)
  return (
    <details
      class="start-options"
      open={isOpen}
      onToggle={(event) => onOpen(event.currentTarget.open)}
    >
      <summary>
        Options
        <span class="muted">{names.length === 0 ? ": none" : `: ${names.join(", ")}`}</span>
      </summary>
      <Begins {...props} />
      <Bounds {...props} />
      <Labels {...props} />
      <Conflict {...props} />
    </details>
  )
}

const begins = [
  ["now", "At once"],
  ["at", "At a time"],
  ["after", "After a while"]
] as const

const Begins = ({ onChange, problems, written }: Props) => {
  const name = useId()
  return (
    <fieldset>
      <legend>It begins</legend>
      <p class="choices">
        {begins.map(([choice, label]) => (
          <label class="check" key={choice}>
            <input
              type="radio"
              name={name}
              checked={written.begins === choice}
              onChange={() => onChange({ begins: choice })}
            />
            {label}
          </label>
        ))}
      </p>
      {written.begins === "at" ? (
        <Field label="Time" about="In your time zone." problem={problems.startAt}>
          {(tied) => (
            <input
              {...tied}
              type="datetime-local"
              step={1}
              value={localOf(written.startAt)}
              onChange={(event) => onChange({ startAt: isoOf(event.currentTarget.value) })}
            />
          )}
        </Field>
      ) : null}
      {written.begins === "after" ? (
        <TextField
          label="How long from now"
          about={'A duration, such as "1 hour".'}
          problem={problems.delay}
          value={written.delay}
          onInput={(delay) => onChange({ delay })}
        />
      ) : null}
    </fieldset>
  )
}

const Bounds = ({ onChange, problems, written }: Props) => (
  <>
    <TextField
      label="Priority"
      about="Of the runs that wait for room, those with the smaller one begin first. Empty: 0."
      problem={problems.priority}
      value={written.priority}
      onInput={(priority) => onChange({ priority })}
    />
    <TextField
      label="Timeout"
      about={
        'How long it may take from its begin on, such as "1 day"; then it is interrupted, and has failed. Empty: no bound.'
      }
      problem={problems.timeout}
      value={written.timeout}
      onInput={(timeout) => onChange({ timeout })}
    />
  </>
)

const Labels = ({ onChange, problems, written }: Props) =>
  (
    [
      ["tags", "Tags", "One a line."],
      ["attributes", "Attributes", 'One a line, such as customer=7; total="7" is a text.']
    ] as const
  ).map(([name, label, about]) => (
    <Field key={name} label={label} about={about} problem={problems[name]}>
      {(tied) => (
        <textarea
          {...tied}
          class="code"
          rows={2}
          autocomplete="off"
          spellcheck={false}
          value={written[name]}
          onInput={(event) => onChange({ [name]: event.currentTarget.value })}
        />
      )}
    </Field>
  ))

const conflictWords = {
  use: "Use it: lead to that one",
  fail: "Fail: start none",
  replace: "Replace it, where it has not begun"
} as const

const Conflict = ({ onChange, problems, written }: Props) => (
  <>
    <Field label="If there is a run of the same idempotency key" problem={problems.onConflict}>
      {(tied) => (
        <select
          {...tied}
          value={written.onConflict}
          onChange={(event) => {
            const chosen = conflicts.find((one) => one === event.currentTarget.value)
            if (chosen !== undefined) onChange({ onConflict: chosen })
          }}
        >
          {conflicts.map((conflict) => (
            <option key={conflict} value={conflict}>
              {conflictWords[conflict]}
            </option>
          ))}
        </select>
      )}
    </Field>
    {written.onConflict === "use" ? (
      <label class="check">
        <input
          type="checkbox"
          checked={written.ignorePayload}
          onChange={(event) => onChange({ ignorePayload: event.currentTarget.checked })}
        />
        also where it has another payload
      </label>
    ) : null}
  </>
)
