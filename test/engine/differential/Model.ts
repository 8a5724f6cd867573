/**
 * What a program comes to, by plain interpretation: no engine, no fibers, no time. Says as well
 * which programs come to just one thing, whatever runs first.
 */
import type { End, Node, Program } from "./Program.js"

export type Outcome =
  | { readonly _tag: "succeeds" | "fails" | "dies"; readonly text: string }
  | { readonly _tag: "never" }

/** Compensations, as far as their order is defined: each pair is undone in the reverse order. */
interface Undos {
  readonly names: ReadonlyArray<string>
  readonly pairs: ReadonlyArray<readonly [first: string, second: string]>
}

interface Part {
  readonly outcome: Outcome
  /** Steps that have executed when it is over, as name and attempt. */
  readonly steps: ReadonlyArray<string>
  /** Steps that may have: those of branches that are interrupted. */
  readonly maybeSteps: ReadonlyArray<string>
  /** Compensations that the workflow has now, and that it may have. */
  readonly undos: Undos
  readonly maybeUndos: ReadonlyArray<string>
  /** Compensations that have been executed, and that may have: those of children. */
  readonly undone: Undos
  readonly maybeUndone: ReadonlyArray<string>
  /** Its outcome depends on what runs first. */
  readonly ambiguous: boolean
}

export interface Expected {
  readonly exit: string
  readonly steps: ReadonlySet<string>
  readonly maybeSteps: ReadonlySet<string>
  readonly undone: ReadonlySet<string>
  readonly maybeUndone: ReadonlySet<string>
  /** Of each pair the second is undone before the first. */
  readonly pairs: Undos["pairs"]
}

const succeeds = (text: string): Outcome => ({ _tag: "succeeds", text })
const never: Outcome = { _tag: "never" }

const noUndos: Undos = { names: [], pairs: [] }

const nothing: Part = {
  outcome: succeeds(""),
  steps: [],
  maybeSteps: [],
  undos: noUndos,
  maybeUndos: [],
  undone: noUndos,
  maybeUndone: [],
  ambiguous: false
}

const leaf = (outcome: Outcome, ...steps: ReadonlyArray<string>): Part => ({
  ...nothing,
  outcome,
  steps
})

const join = (left: Part, right: Part, undos: Undos, outcome: Outcome): Part => ({
  outcome,
  steps: [...left.steps, ...right.steps],
  maybeSteps: [...left.maybeSteps, ...right.maybeSteps],
  undos,
  maybeUndos: [...left.maybeUndos, ...right.maybeUndos],
  // the children of a workflow end in no order that it knows of
  undone: side(left.undone, right.undone),
  maybeUndone: [...left.maybeUndone, ...right.maybeUndone],
  ambiguous: left.ambiguous || right.ambiguous
})

const side = (left: Undos, right: Undos): Undos => ({
  names: [...left.names, ...right.names],
  pairs: [...left.pairs, ...right.pairs]
})

const after = (first: Undos, second: Undos): Undos => {
  const { names, pairs } = side(first, second)
  const across = first.names.flatMap((one) => second.names.map((two) => [one, two] as const))
  return { names, pairs: [...pairs, ...across] }
}

/** One and then the other. */
const series = (first: Part, second: Part, outcome = second.outcome): Part =>
  join(first, second, after(first.undos, second.undos), outcome)

/** Both, at the same time. */
const parallel = (left: Part, right: Part, outcome: Outcome): Part =>
  join(left, right, side(left.undos, right.undos), outcome)

/** What is interrupted somewhere, or never seen to end. */
const maybe = (part: Part): Part => ({
  ...part,
  steps: [],
  maybeSteps: [...part.steps, ...part.maybeSteps],
  undos: noUndos,
  maybeUndos: [...part.undos.names, ...part.maybeUndos],
  undone: noUndos,
  maybeUndone: [...part.undone.names, ...part.maybeUndone]
})

const isFailure = ({ outcome }: Part) => outcome._tag === "fails" || outcome._tag === "dies"

const textOf = (outcome: Outcome) =>
  outcome._tag === "never" ? "never" : `${outcome._tag} ${outcome.text}`

const concurrent = (parts: ReadonlyArray<Part>, concurrency: number): Part => {
  const failures = parts.filter(isFailure)
  const endless = parts.filter(({ outcome }) => outcome._tag === "never")
  const [failure] = failures
  const outcome =
    failure !== undefined ? failure.outcome : endless.length > 0 ? never : listed(parts)
  const all = parts
    .map((part) => (outcome._tag === "succeeds" || part === failure ? part : maybe(part)))
    .reduce((left, right) => parallel(left, right, outcome))
  // those that never end might leave no room for the one that fails
  return {
    ...all,
    ambiguous: all.ambiguous || failures.length > 1 || endless.length >= concurrency
  }
}

const listed = (parts: ReadonlyArray<Part>): Outcome =>
  succeeds(
    `[${parts.map(({ outcome }) => (outcome._tag === "succeeds" ? outcome.text : "")).join(" ")}]`
  )

/** One after the other, up to the first that fails. */
const sequential = (parts: ReadonlyArray<Part>): Part => {
  let all = nothing
  for (const part of parts) {
    all = series(all, part)
    if (part.outcome._tag !== "succeeds") return all
  }
  return { ...all, outcome: listed(parts) }
}

const race = (by: "race" | "raceFirst" | "durable", left: Part, right: Part): Part => {
  const settled = [left, right].filter(({ outcome }) => outcome._tag !== "never")
  const succeeded = settled.filter(({ outcome }) => outcome._tag === "succeeds")
  const contenders = by === "raceFirst" ? settled : succeeded
  const [winner] = contenders
  if (winner === undefined) {
    return {
      ...parallel(maybe(left), maybe(right), never),
      // both have failed, with a cause that has both
      ambiguous: left.ambiguous || right.ambiguous || settled.length > 1
    }
  }
  const loser = winner === left ? right : left
  const raced = parallel(winner, maybe(loser), winner.outcome)
  return {
    ...raced,
    // once its outcome is recorded its branches do not run again
    ...(by === "durable"
      ? { undos: noUndos, maybeUndos: [...raced.undos.names, ...raced.maybeUndos] }
      : {}),
    ambiguous: raced.ambiguous || contenders.length > 1
  }
}

/** How a workflow ends, and what it has undone then. */
const workflow = (node: Node, end: End, at: string): Part => {
  const part = evaluate(node, at)
  const outcome: Outcome =
    part.outcome._tag === "succeeds" && end !== "succeeds"
      ? { _tag: end, text: `end of ${at}` }
      : part.outcome
  const over = { ...part, outcome, undos: noUndos, maybeUndos: [] }
  if (!isFailure(over)) return over
  const mayBeUndone = [...part.undos.names, ...part.maybeUndos]
  return {
    ...over,
    // some compensations execute a step
    maybeSteps: [...part.maybeSteps, ...mayBeUndone.map((name) => `${name}/1`)],
    undone: side(part.undone, part.undos),
    maybeUndone: [...part.maybeUndone, ...part.maybeUndos]
  }
}

/** @param at where it is in the program */
export const evaluate = (node: Node, at: string): Part => {
  switch (node._tag) {
    case "Step":
      return leaf({ _tag: node.how, text: at }, `${at}/1`)
    case "Attempts": {
      const attempts = Math.min(node.failures, node.times) + 1
      return leaf(
        { _tag: node.failures > node.times ? "fails" : "succeeds", text: at },
        ...Array.from({ length: attempts }, (_, n) => `${at}/${n + 1}`)
      )
    }
    case "Undo":
      return { ...leaf(succeeds(at), `${at}/1`), undos: { names: [`undo ${at}`], pairs: [] } }
    case "Plain":
    case "Sleep":
      return leaf(succeeds(at))
    case "Never":
      return leaf(never)
    case "Signal":
      return leaf({ _tag: node.how, text: at })
    case "Seq":
      return sequential(node.nodes.map((inner, n) => evaluate(inner, `${at}.${n}`)))
    case "All": {
      const parts = node.nodes.map((inner, n) => evaluate(inner, `${at}.${n}`))
      return node.concurrency === 1
        ? sequential(parts)
        : concurrent(parts, node.concurrency === 2 ? 2 : Number.POSITIVE_INFINITY)
    }
    case "Race":
      return race(node.by, evaluate(node.left, `${at}.l`), evaluate(node.right, `${at}.r`))
    case "Timeout": {
      const inner = evaluate(node.node, `${at}.n`)
      // Effect does not interrupt a timeout for a branch of `all` that fails beside it
      return { ...inner, ambiguous: inner.ambiguous || inner.outcome._tag === "never" }
    }
    case "Retry": {
      const failed = Array.from({ length: node.failures }, (_, n) => `${at}#${n + 1}/1`)
      return series(leaf(succeeds(""), ...failed), evaluate(node.node, `${at}.n`))
    }
    case "Handle": {
      const inner = evaluate(node.node, `${at}.n`)
      const { outcome } = inner
      if (outcome._tag === "succeeds" || outcome._tag === "never") return inner
      if (outcome._tag === "dies" && node.by === "catchAll") return inner
      const handled = evaluate(node.next, `${at}.x`)
      return series(
        inner,
        handled,
        handled.outcome._tag === "succeeds"
          ? succeeds(`(${textOf(outcome)}: ${handled.outcome.text})`)
          : handled.outcome
      )
    }
    case "Ensuring": {
      const inner = evaluate(node.node, `${at}.n`)
      return node.by === "plain"
        ? inner
        : series(inner, leaf(succeeds(""), `finalize ${at}/1`), inner.outcome)
    }
    case "Acquire": {
      const acquired = node.acquire === "step" ? leaf(succeeds(""), `acquire ${at}/1`) : nothing
      const released = node.release === "step" ? leaf(succeeds(""), `release ${at}/1`) : nothing
      const inner = evaluate(node.node, `${at}.n`)
      return series(series(acquired, inner), released, inner.outcome)
    }
    case "ForkScoped": {
      const inner = evaluate(node.node, `${at}.n`)
      return parallel(maybe(evaluate(node.branch, `${at}.b`)), inner, inner.outcome)
    }
    case "ForkJoin": {
      const branch = evaluate(node.branch, `${at}.b`)
      const inner = evaluate(node.node, `${at}.n`)
      if (inner.outcome._tag !== "succeeds") return parallel(maybe(branch), inner, inner.outcome)
      const outcome = branch.outcome._tag === "succeeds" ? listed([inner, branch]) : branch.outcome
      return parallel(branch, inner, outcome)
    }
    case "Child":
      return workflow(node.node, node.end, `${at}.c`)
    case "Gate": {
      const giver = evaluate(node.giver, `${at}.g`)
      if (giver.outcome._tag !== "succeeds") return giver
      const next = evaluate(node.next, `${at}.x`)
      // replayed, the other branch may fail before the first is as far as it was
      return next.outcome._tag === "succeeds"
        ? parallel(giver, next, listed([giver, next]))
        : parallel(
            { ...giver, undos: noUndos, maybeUndos: [...giver.undos.names, ...giver.maybeUndos] },
            next,
            next.outcome
          )
    }
  }
}

/** What is to come of it; `undefined` of a program that does not end, or not in one way only. */
export const expected = ({ end, node }: Program): Expected | undefined => {
  const part = workflow(node, end, "p")
  if (part.ambiguous || part.outcome._tag === "never") return undefined
  return {
    exit: textOf(part.outcome),
    steps: new Set(part.steps),
    maybeSteps: new Set(part.maybeSteps),
    undone: new Set(part.undone.names),
    maybeUndone: new Set(part.maybeUndone),
    pairs: part.undone.pairs
  }
}
