/** A dialog over the page: the rest is inert, Escape closes it, and the focus goes back. */
import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef } from "preact/hooks"

export const Dialog = ({
  children,
  onClose,
  title
}: {
  readonly title: string
  readonly children: ComponentChildren
  readonly onClose: () => void
}) => {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const element = dialog.current
    const before = document.activeElement
    element?.showModal()
    return () => {
      element?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

/** Something that cannot be undone, and is done only when that is said once more. */
export const Confirm = ({
  action,
  children,
  isBusy = false,
  onClose,
  onConfirm,
  title
}: {
  readonly title: string
  /** What the button says that does it. */
  readonly action: string
  readonly children: ComponentChildren
  readonly isBusy?: boolean
  readonly onClose: () => void
  readonly onConfirm: () => void
}) => (
  <Dialog title={title} onClose={onClose}>
    <form
      onSubmit={(event) => {
        event.preventDefault()
        onConfirm()
      }}
    >
      {children}
      <p class="buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="danger" disabled={isBusy}>
          {action}
        </button>
      </p>
    </form>
  </Dialog>
)
