/** Asks for a token where there is none, and tries it before it is kept. */
import * as Effect from "effect/Effect"
import { useId, useState } from "preact/hooks"
import { useTitle } from "../Hooks.js"
import { ask, workflows } from "../server/Server.js"
import { refusal, signIn, token } from "../server/Session.js"

export const SignIn = () => {
  const id = useId()
  const [text, setText] = useState("")
  const [isBusy, setBusy] = useState(false)
  useTitle("Sign in")
  const submit = (event: Event) => {
    event.preventDefault()
    const given = text.trim()
    if (given === "") return
    setBusy(true)
    signIn(given)
    // refused, it signs out again, and says why
    void ask(Effect.asVoid(workflows)).then(() => token.peek() === undefined && setBusy(false))
  }
  return (
    <main class="sign-in">
      <h1>Workflows</h1>
      <p>Sign in with a bearer token of this executor.</p>
      {refusal.value === undefined ? null : (
        <p class="problem" role="alert">
          Signed out: {refusal.value}
        </p>
      )}
      <form onSubmit={submit}>
        <div class="field">
          <label for={id}>Token</label>
          <textarea
            id={id}
            class="code"
            rows={4}
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") submit(event)
            }}
          />
        </div>
        <p class="buttons">
          <button type="submit" class="primary" disabled={isBusy}>
            Sign in
          </button>
        </p>
      </form>
      <p class="muted">
        <code>workflow-executor token</code> makes one. It is kept for this tab, and forgotten with
        it. An executor without <code>AUTH_SECRET</code> prints a link at its start that signs in by
        itself.
      </p>
    </main>
  )
}
