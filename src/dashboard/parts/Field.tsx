/** An input with its name, what it means, and what is wrong with what is in it. */
import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"

/** What ties an input to its texts. */
export interface Tied {
  readonly id: string
  readonly "aria-invalid": boolean
  readonly "aria-describedby"?: string
}

export const Field = ({
  about,
  children,
  label,
  problem
}: {
  readonly label: string
  readonly about?: string | undefined
  readonly problem?: ComponentChildren
  readonly children: (tied: Tied) => ComponentChildren
}) => {
  const id = useId()
  const described = [
    ...(about === undefined ? [] : [`${id}-about`]),
    ...(problem === undefined ? [] : [`${id}-problem`])
  ].join(" ")
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        "aria-invalid": problem !== undefined,
        ...(described === "" ? {} : { "aria-describedby": described })
      })}
      {about === undefined ? null : (
        <p class="muted about" id={`${id}-about`}>
          {about}
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

/** A line of text. */
export const TextField = ({
  onInput,
  placeholder,
  value,
  ...field
}: {
  readonly label: string
  readonly about?: string | undefined
  readonly problem?: ComponentChildren
  readonly value: string
  readonly placeholder?: string
  readonly onInput: (text: string) => void
}) => (
  <Field {...field}>
    {(tied) => (
      <input
        {...tied}
        value={value}
        autocomplete="off"
        spellcheck={false}
        {...(placeholder === undefined ? {} : { placeholder })}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    )}
  </Field>
)
