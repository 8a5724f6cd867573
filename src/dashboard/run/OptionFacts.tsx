/** How a run was started, beside its payload: what lists find it by leads to its like. */

import * as Attributes from "../../api/Attributes.js"
import type { RunView } from "../../api/RunView.js"
import { Fact } from "../parts/Fact.js"
import { When } from "../parts/When.js"
import { count, duration } from "../parts/Words.js"
import { to } from "../Router.js"
import { read, write } from "../runs/Filters.js"

const nothing = read(new URLSearchParams())

/** Its schedule is in its id. */
const scheduleOf = (runId: string) => /^schedule\/([^/]+)\//.exec(runId)?.[1]

export const OptionFacts = ({ run }: { readonly run: RunView }) => {
  const { attributes = {}, deadline, priority, startAt, tags = [], timeout } = run
  const schedule = scheduleOf(run.runId)
  const texts = Object.entries(attributes).map(Attributes.text)
  return (
    <>
      {schedule === undefined ? null : (
        <Fact name="Schedule">
          <a class="text" href={to(["schedules", schedule])}>
            {schedule}
          </a>
        </Fact>
      )}
      {startAt === undefined ? null : (
        <Fact name="To begin">
          <When at={startAt} />
        </Fact>
      )}
      {priority === undefined ? null : <Fact name="Priority">{count(priority)}</Fact>}
      {timeout === undefined ? null : (
        <Fact name="May take">
          {duration(timeout)}
          {deadline === undefined ? null : (
            <>
              , until <When at={deadline} />
            </>
          )}
        </Fact>
      )}
      {tags.length === 0 ? null : (
        <Fact name="Tags">
          <Links texts={tags} address={(tag) => to(["runs"], write({ ...nothing, tags: [tag] }))} />
        </Fact>
      )}
      {texts.length === 0 ? null : (
        <Fact name="Attributes">
          <Links
            texts={texts}
            address={(text) => to(["runs"], write({ ...nothing, attributes: [text] }))}
          />
        </Fact>
      )}
    </>
  )
}

const Links = ({
  address,
  texts
}: {
  readonly texts: ReadonlyArray<string>
  readonly address: (text: string) => string
}) => (
  <span class="links">
    {texts.map((text) => (
      <a key={text} class="label text" href={address(text)}>
        {text}
      </a>
    ))}
  </span>
)
