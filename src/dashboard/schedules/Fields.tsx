/** The fields of a schedule that are no payload: when it ticks, and what becomes of a tick. */
import { useId } from "preact/hooks"
import { overlaps } from "../../api/Schedules.js"
import { Field, TextField } from "../parts/Field.js"
import { isoOf, localOf } from "../runs/Filters.js"
import type { Written } from "./Written.js"

interface Props {
  readonly written: Written
  readonly onChange: (part: Partial<Written>) => void
}

export const Times = ({ onChange, written }: Props) => (
  <fieldset>
    <legend>When</legend>
    <p class="choices">
      {(
        [
          ["cron", "By a cron"],
          ["every", "At an interval"]
        ] as const
      ).map(([by, label]) => (
        <label class="check" key={by}>
          <input
            type="radio"
            name="schedule-by"
            checked={written.by === by}
            onChange={() => onChange({ by })}
          />
          {label}
        </label>
      ))}
    </p>
    {written.by === "cron" ? (
      <>
        <TextField
          label="Cron"
          about="Minute, hour, day of the month, month, day of the week; of six fields the first is the second."
          placeholder="0 3 * * *"
          value={written.cron}
          onInput={(cron) => onChange({ cron })}
        />
        <Zone written={written} onChange={onChange} />
      </>
    ) : (
      <TextField
        label="Every"
        about="A duration, from 1 second to 3660 days."
        placeholder="5 minutes"
        value={written.every}
        onInput={(every) => onChange({ every })}
      />
    )}
  </fieldset>
)

const zones: ReadonlyArray<string> = Intl.supportedValuesOf("timeZone")

const Zone = ({ onChange, written }: Props) => {
  const list = useId()
  return (
    <Field label="Time zone" about="Of IANA. Empty: UTC.">
      {(tied) => (
        <>
          <input
            {...tied}
            list={list}
            value={written.timeZone}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => onChange({ timeZone: event.currentTarget.value })}
          />
          <datalist id={list}>
            {zones.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  )
}

const overlapWords = {
  skip: "Skip: leave the tick out",
  queue: "Queue: one tick waits until it is over",
  allow: "Allow: start its run beside it",
  cancel: "Cancel: interrupt it first"
} as const

export const Options = ({ onChange, written }: Props) => (
  <fieldset>
    <legend>What becomes of a tick</legend>
    <Field label="While a run of it is under way">
      {(tied) => (
        <select
          {...tied}
          value={written.overlap}
          onChange={(event) => {
            const chosen = overlaps.find((one) => one === event.currentTarget.value)
            if (chosen !== undefined) onChange({ overlap: chosen })
          }}
        >
          {overlaps.map((overlap) => (
            <option key={overlap} value={overlap}>
              {overlapWords[overlap]}
            </option>
          ))}
        </select>
      )}
    </Field>
    <TextField
      label="Catches up"
      about={
        'How old a tick may be that is still started, such as "1 day". Empty: the last one, until the next is due.'
      }
      value={written.catchUp}
      onInput={(catchUp) => onChange({ catchUp })}
    />
    <TextField
      label="Jitter"
      about={
        'How much later than its tick a run starts, at most, such as "20 seconds". Empty: not.'
      }
      value={written.jitter}
      onInput={(jitter) => onChange({ jitter })}
    />
    <Field label="Ends" about="No tick is later. In your time zone. Empty: never.">
      {(tied) => (
        <input
          {...tied}
          type="datetime-local"
          step={1}
          value={localOf(written.end)}
          onChange={(event) => onChange({ end: isoOf(event.currentTarget.value) })}
        />
      )}
    </Field>
    <TextField
      label="How many ticks"
      about="Empty: without end."
      value={written.count}
      onInput={(count) => onChange({ count })}
    />
    <label class="check">
      <input
        type="checkbox"
        checked={written.paused}
        onChange={(event) => onChange({ paused: event.currentTarget.checked })}
      />
      Paused
    </label>
  </fieldset>
)
