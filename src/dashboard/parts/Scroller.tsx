/** A part of the page that scrolls by itself: named, and reached by keyboard. */
import type { ComponentChildren, RefObject } from "preact"

export const Scroller = ({
  children,
  class: className,
  label,
  onKeyDown,
  scroller
}: {
  readonly label: string
  readonly class: string
  readonly children: ComponentChildren
  readonly scroller?: RefObject<HTMLElement>
  readonly onKeyDown?: (event: KeyboardEvent) => void
}) => (
  <section
    aria-label={label}
    class={className}
    {...(scroller === undefined ? {} : { ref: scroller })}
    {...(onKeyDown === undefined ? {} : { onKeyDown })}
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be reached by keyboard
    tabIndex={0}
  >
    {children}
  </section>
)
