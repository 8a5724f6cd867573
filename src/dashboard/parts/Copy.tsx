import { useState } from "preact/hooks"

/** Puts a text on the clipboard, and says so. */
export const Copy = ({ text, what }: { readonly text: string; readonly what: string }) => {
  const [said, setSaid] = useState("Copy")
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setSaid("Copied")
    } catch {
      // only a page on HTTPS or on this machine may
      setSaid("Not allowed here")
    }
    window.setTimeout(() => setSaid("Copy"), 2_000)
  }
  return (
    <button type="button" class="quiet" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      <span aria-live="polite">{said}</span>
    </button>
  )
}
