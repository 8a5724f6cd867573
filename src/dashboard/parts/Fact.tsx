/** A name and what it is, which stay together where the line ends. */
import type { ComponentChildren } from "preact"

export const Fact = ({
  children,
  name
}: {
  readonly name: string
  readonly children: ComponentChildren
}) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)
