/**
 * Workflow programs as plain data, and how they are made at random and made smaller.
 *
 * The outcome of a program is the same however its fibers are scheduled and however often it is
 * replayed. For that:
 *
 * - Of a race one branch comes to an end, and the others never do; where the first success wins
 *   others may fail as well.
 * - Of branches that run at the same time at most one fails.
 * - A step is known by where it is in the program, and so is every signal, sleep and child.
 * - Finalizers and compensations do not fail.
 * - What has a timeout comes to an end.
 *
 * `expected` of `Model.ts` says of a program whether it keeps to that; others are not tried.
 */
import * as FastCheck from "effect/FastCheck"

export type Node =
  /** A step; `takes` turns of the event loop. */
  | { readonly _tag: "Step"; readonly how: "succeeds" | "fails" | "dies"; readonly takes: number }
  /** A step whose first attempts fail, under `Activity.retry`. */
  | { readonly _tag: "Attempts"; readonly failures: number; readonly times: number }
  /** A step with a compensation: plain code, a step, or a sleep and then a step. */
  | { readonly _tag: "Undo"; readonly undo: "plain" | "step" | "sleep"; readonly takes: number }
  /** Plain asynchronous code, of a turn, a promise, or a hash that is computed on another thread. */
  | { readonly _tag: "Plain"; readonly how: "yield" | "promise" | "key" }
  /** A `DurableClock.sleep`, below and above its threshold of 60 seconds. */
  | { readonly _tag: "Sleep"; readonly how: "short" | "long" }
  /** Waits for what never comes. */
  | { readonly _tag: "Never"; readonly how: "plain" | "signal" | "sleep" }
  /** A DurableDeferred that is completed from outside. */
  | { readonly _tag: "Signal"; readonly how: "succeeds" | "fails" }
  | { readonly _tag: "Seq"; readonly nodes: ReadonlyArray<Node> }
  | {
      readonly _tag: "All"
      readonly by: "all" | "forEach"
      readonly concurrency: 1 | 2 | "unbounded"
      readonly nodes: ReadonlyArray<Node>
    }
  | {
      readonly _tag: "Race"
      readonly by: "race" | "raceFirst" | "durable"
      readonly left: Node
      readonly right: Node
    }
  /** `Effect.timeout`, of a time that does not come. */
  | { readonly _tag: "Timeout"; readonly node: Node }
  /** `Effect.retry` of a step that fails so often, each time as another, and then of the node. */
  | {
      readonly _tag: "Retry"
      readonly failures: number
      readonly delayed: boolean
      readonly node: Node
    }
  /** Handles what the node fails with, and goes on. */
  | {
      readonly _tag: "Handle"
      readonly by: "catchAllCause" | "exit" | "sandbox" | "matchCause" | "catchAll"
      readonly node: Node
      readonly next: Node
    }
  | { readonly _tag: "Ensuring"; readonly by: "plain" | "step"; readonly node: Node }
  | {
      readonly _tag: "Acquire"
      readonly acquire: "plain" | "step"
      readonly release: "plain" | "step"
      readonly node: Node
    }
  /** The branch runs in the background, until the node is over or, if it is `own`, the workflow. */
  | {
      readonly _tag: "ForkScoped"
      readonly own: boolean
      readonly branch: Node
      readonly node: Node
    }
  | { readonly _tag: "ForkJoin"; readonly branch: Node; readonly node: Node }
  /** Another workflow, and how it ends if its node succeeds. */
  | { readonly _tag: "Child"; readonly end: End; readonly node: Node }
  /** Two branches: one completes a DurableDeferred that the other awaits. */
  | {
      readonly _tag: "Gate"
      readonly by: "succeed" | "into"
      readonly giver: Node
      readonly next: Node
    }

export type Tag = Node["_tag"]

/** How a workflow ends whose node has succeeded. */
export type End = "succeeds" | "fails" | "dies"

export interface Program {
  readonly node: Node
  readonly end: End
}

/**
 * What happens to the process so many turns of the event loop after it has begun.
 *
 * - `drain`: it stops, and another goes on with its file.
 * - `kill`: another goes on with a copy of its file.
 * - `evict`: it lets go of the run, which goes on.
 * - `park`: its workflow is paused and parks, and goes on some turns later.
 */
export interface Disturbance {
  readonly kind: "drain" | "kill" | "evict" | "park"
  readonly after: number
}

/** Programs that run side by side, and what happens to the process that executes them. */
export interface Scenario {
  readonly programs: ReadonlyArray<Program>
  readonly disturbances: ReadonlyArray<Disturbance>
  /** Steps in flight are waited for in a drain, or cut. */
  readonly patient: boolean
}

/** A node's own nodes. */
export const nodesOf = (node: Node): ReadonlyArray<Node> => {
  switch (node._tag) {
    case "Seq":
    case "All":
      return node.nodes
    case "Race":
      return [node.left, node.right]
    case "Timeout":
    case "Retry":
    case "Ensuring":
    case "Acquire":
    case "Child":
      return [node.node]
    case "Handle":
      return [node.node, node.next]
    case "ForkScoped":
    case "ForkJoin":
      return [node.branch, node.node]
    case "Gate":
      return [node.giver, node.next]
    default:
      return []
  }
}

/** The node with others in the place of its own: as many of them, unless it is a list. */
const withNodes = (node: Node, nodes: ReadonlyArray<Node>): Node => {
  const [first = node, second = node] = nodes
  switch (node._tag) {
    case "Seq":
    case "All":
      return { ...node, nodes }
    case "Race":
      return { ...node, left: first, right: second }
    case "Timeout":
    case "Retry":
    case "Ensuring":
    case "Acquire":
    case "Child":
      return { ...node, node: first }
    case "Handle":
      return { ...node, node: first, next: second }
    case "ForkScoped":
    case "ForkJoin":
      return { ...node, branch: first, node: second }
    case "Gate":
      return { ...node, giver: first, next: second }
    default:
      return node
  }
}

export const sizeOf = (node: Node): number =>
  nodesOf(node).reduce((size, inner) => size + sizeOf(inner), 1)

export const tagsOf = (node: Node): ReadonlySet<Tag> =>
  new Set([node._tag, ...nodesOf(node).flatMap((inner) => [...tagsOf(inner)])])

// --- random ones

const tag = <T extends Tag>(tag: T) => FastCheck.constant(tag)

const weighted = <A>(...of: ReadonlyArray<readonly [A, number]>): FastCheck.Arbitrary<A> =>
  FastCheck.oneof(
    ...of.map(([value, weight]) => ({ weight, arbitrary: FastCheck.constant(value) }))
  )

type Weighted = {
  readonly tag: Tag
  readonly weight: number
  readonly of: FastCheck.Arbitrary<Node>
}

const takes = FastCheck.integer({ min: 0, max: 5 })
const failures = FastCheck.integer({ min: 0, max: 2 })
const plainOrStep = FastCheck.constantFrom("plain" as const, "step" as const)
const ending = weighted<End>(["succeeds", 3], ["fails", 2], ["dies", 1])

const never: FastCheck.Arbitrary<Node> = FastCheck.record({
  _tag: tag("Never"),
  how: FastCheck.constantFrom("plain" as const, "signal" as const, "sleep" as const)
})

const leaves: ReadonlyArray<Weighted> = [
  {
    tag: "Step",
    weight: 6,
    of: FastCheck.record({
      _tag: tag("Step"),
      how: weighted<"succeeds" | "fails" | "dies">(["succeeds", 8], ["fails", 2], ["dies", 1]),
      takes
    })
  },
  {
    tag: "Attempts",
    weight: 2,
    of: FastCheck.record({ _tag: tag("Attempts"), failures, times: failures })
  },
  {
    tag: "Undo",
    weight: 3,
    of: FastCheck.record({
      _tag: tag("Undo"),
      undo: FastCheck.constantFrom("plain" as const, "step" as const, "sleep" as const),
      takes
    })
  },
  {
    tag: "Plain",
    weight: 1,
    of: FastCheck.record({
      _tag: tag("Plain"),
      how: FastCheck.constantFrom("yield" as const, "promise" as const, "key" as const)
    })
  },
  {
    tag: "Sleep",
    weight: 2,
    of: FastCheck.record({
      _tag: tag("Sleep"),
      how: FastCheck.constantFrom("short" as const, "long" as const)
    })
  },
  {
    tag: "Signal",
    weight: 2,
    of: FastCheck.record({
      _tag: tag("Signal"),
      how: weighted<"succeeds" | "fails">(["succeeds", 4], ["fails", 1])
    })
  }
]

const branches = (node: FastCheck.Arbitrary<Node>): ReadonlyArray<Weighted> => {
  // what loses a race, or is left in the background
  const endless: FastCheck.Arbitrary<Node> = FastCheck.oneof(
    never,
    FastCheck.record({ _tag: tag("Seq"), nodes: FastCheck.tuple(node, never) })
  )
  const list = FastCheck.array(node, { minLength: 1, maxLength: 3 })
  return [
    { tag: "Seq", weight: 4, of: FastCheck.record({ _tag: tag("Seq"), nodes: list }) },
    {
      tag: "All",
      weight: 4,
      of: FastCheck.record({
        _tag: tag("All"),
        by: FastCheck.constantFrom("all" as const, "forEach" as const),
        concurrency: weighted<1 | 2 | "unbounded">(["unbounded", 4], [2, 2], [1, 1]),
        nodes: FastCheck.oneof(
          { weight: 6, arbitrary: FastCheck.array(node, { minLength: 2, maxLength: 3 }) },
          { weight: 1, arbitrary: FastCheck.tuple(node, endless) }
        )
      })
    },
    {
      tag: "Race",
      weight: 3,
      of: FastCheck.record({
        _tag: tag("Race"),
        by: FastCheck.constantFrom("race" as const, "raceFirst" as const, "durable" as const),
        left: node,
        right: FastCheck.oneof({ weight: 4, arbitrary: endless }, { weight: 1, arbitrary: node }),
        swapped: FastCheck.boolean()
      }).map(
        ({ swapped, ...race }): Node =>
          swapped ? { ...race, left: race.right, right: race.left } : race
      )
    },
    { tag: "Timeout", weight: 2, of: FastCheck.record({ _tag: tag("Timeout"), node }) },
    {
      tag: "Retry",
      weight: 1,
      of: FastCheck.record({ _tag: tag("Retry"), failures, delayed: FastCheck.boolean(), node })
    },
    {
      tag: "Handle",
      weight: 5,
      of: FastCheck.record({
        _tag: tag("Handle"),
        by: FastCheck.constantFrom(
          "catchAllCause" as const,
          "exit" as const,
          "sandbox" as const,
          "matchCause" as const,
          "catchAll" as const
        ),
        node,
        next: node
      })
    },
    {
      tag: "Ensuring",
      weight: 2,
      of: FastCheck.record({ _tag: tag("Ensuring"), by: plainOrStep, node })
    },
    {
      tag: "Acquire",
      weight: 2,
      of: FastCheck.record({
        _tag: tag("Acquire"),
        acquire: plainOrStep,
        release: plainOrStep,
        node
      })
    },
    {
      tag: "ForkScoped",
      weight: 2,
      of: FastCheck.record({
        _tag: tag("ForkScoped"),
        own: FastCheck.boolean(),
        branch: FastCheck.oneof(node, endless),
        node
      })
    },
    {
      tag: "ForkJoin",
      weight: 2,
      of: FastCheck.record({ _tag: tag("ForkJoin"), branch: node, node })
    },
    {
      tag: "Child",
      weight: 2,
      of: FastCheck.record({ _tag: tag("Child"), end: ending, node })
    },
    {
      tag: "Gate",
      weight: 2,
      of: FastCheck.record({
        _tag: tag("Gate"),
        by: FastCheck.constantFrom("succeed" as const, "into" as const),
        giver: node,
        next: node
      })
    }
  ]
}

/** A node with as many levels of nodes in it, or fewer. */
const nodes = (depth: number, only: ReadonlySet<string> | undefined): FastCheck.Arbitrary<Node> => {
  const inner = depth === 0 ? [] : branches(nodes(depth - 1, only))
  const wanted = [
    ...leaves,
    // else most are leaves
    ...inner.map((branch) => ({ ...branch, weight: 2 * branch.weight }))
  ].filter(({ tag }) => only === undefined || only.has(tag))
  return FastCheck.oneof(...wanted.map(({ of, weight }) => ({ weight, arbitrary: of })))
}

const several = (node: FastCheck.Arbitrary<Node>): FastCheck.Arbitrary<Node> =>
  FastCheck.record({
    _tag: tag("Seq"),
    nodes: FastCheck.array(node, { minLength: 2, maxLength: 4 })
  })

const disturbance = (kinds: ReadonlyArray<Disturbance["kind"]>) =>
  FastCheck.record({
    kind: FastCheck.constantFrom(...kinds),
    // most of what a program does it does in the first turns
    after: FastCheck.oneof(
      { weight: 3, arbitrary: FastCheck.integer({ min: 0, max: 10 }) },
      { weight: 1, arbitrary: FastCheck.integer({ min: 0, max: 60 }) }
    )
  })

export interface Choice {
  /** What programs are made of. Default: everything. */
  readonly only?: ReadonlySet<string> | undefined
  /** What happens to their process. Default: everything. */
  readonly kinds?: ReadonlyArray<Disturbance["kind"]> | undefined
}

/** A program of more nodes takes its time, and shows no more. */
const mostNodes = 20

/** To build an executor takes longer than most programs do. */
export const programsAtATime = 4

/**
 * Random programs and what happens to them.
 *
 * @param holds which programs are to be tried
 */
export const scenarios = (
  holds: (program: Program) => boolean,
  { kinds = ["drain", "kill", "evict", "park"], only }: Choice = {}
): FastCheck.Arbitrary<Scenario> =>
  new Shrinking(
    FastCheck.record({
      programs: FastCheck.array(
        FastCheck.record({
          node: FastCheck.oneof(nodes(3, only), several(nodes(2, only))),
          end: ending
        }).filter((program) => sizeOf(program.node) <= mostNodes && holds(program)),
        { minLength: programsAtATime, maxLength: programsAtATime }
      ),
      disturbances: FastCheck.array(disturbance(kinds), { minLength: 1, maxLength: 5 }),
      patient: weighted([true, 2], [false, 1])
    }),
    holds
  )

// --- smaller ones

/** Makes scenarios smaller by what they mean: a node gives way to one of its own. */
class Shrinking extends FastCheck.Arbitrary<Scenario> {
  constructor(
    private readonly of: FastCheck.Arbitrary<Scenario>,
    private readonly holds: (program: Program) => boolean
  ) {
    super()
  }

  override generate(random: FastCheck.Random, bias: number | undefined) {
    return new FastCheck.Value(this.of.generate(random, bias).value, undefined)
  }

  override canShrinkWithoutContext(value: unknown): value is Scenario {
    return typeof value === "object" && value !== null && "programs" in value
  }

  override shrink(scenario: Scenario): FastCheck.Stream<FastCheck.Value<Scenario>> {
    const { holds } = this
    return FastCheck.stream(
      (function* () {
        for (const smaller of smallerScenarios(scenario)) {
          if (smaller.programs.every((program) => holds(program))) {
            yield new FastCheck.Value(smaller, undefined)
          }
        }
      })()
    )
  }
}

const replaced = <A>(list: ReadonlyArray<A>, index: number, by: A) =>
  list.map((one, n) => (n === index ? by : one))

const without = <A>(list: ReadonlyArray<A>, index: number) => list.filter((_, n) => n !== index)

function* smallerScenarios(scenario: Scenario): Generator<Scenario> {
  const { disturbances, programs } = scenario
  if (programs.length > 1) {
    for (const program of programs) yield { ...scenario, programs: [program] }
    for (const n of programs.keys()) yield { ...scenario, programs: without(programs, n) }
  }
  for (const n of disturbances.keys()) {
    yield { ...scenario, disturbances: without(disturbances, n) }
  }
  for (const [n, program] of programs.entries()) {
    for (const smaller of smallerPrograms(program)) {
      yield { ...scenario, programs: replaced(programs, n, smaller) }
    }
  }
  for (const [n, { after, kind }] of disturbances.entries()) {
    const changed = (to: Disturbance) => ({
      ...scenario,
      disturbances: replaced(disturbances, n, to)
    })
    if (kind !== "drain") yield changed({ kind: "drain", after })
    if (after > 0) yield changed({ kind, after: Math.floor(after / 2) })
    if (after > 1) yield changed({ kind, after: after - 1 })
  }
  if (!scenario.patient) yield { ...scenario, patient: true }
}

function* smallerPrograms(program: Program): Generator<Program> {
  for (const node of smallerNodes(program.node)) yield { ...program, node }
  if (program.end !== "succeeds") yield { ...program, end: "succeeds" }
}

const step: Node = { _tag: "Step", how: "succeeds", takes: 0 }

function* smallerNodes(node: Node): Generator<Node> {
  const own = nodesOf(node)
  yield* own
  if (node._tag !== "Step" && node._tag !== "Never") yield step
  if ((node._tag === "Seq" || node._tag === "All") && own.length > 1) {
    for (const dropped of own)
      yield withNodes(
        node,
        own.filter((other) => other !== dropped)
      )
  }
  yield* simplerNodes(node)
  for (const [n, inner] of own.entries()) {
    for (const smaller of smallerNodes(inner)) yield withNodes(node, replaced(own, n, smaller))
  }
}

/** The same node, but less of it. */
function* simplerNodes(node: Node): Generator<Node> {
  switch (node._tag) {
    case "Step":
      if (node.how !== "succeeds") yield { ...node, how: "succeeds" }
      if (node.takes > 0) yield { ...node, takes: node.takes - 1 }
      return
    case "Attempts":
      if (node.failures > 0) yield { ...node, failures: node.failures - 1 }
      if (node.times > 0) yield { ...node, times: node.times - 1 }
      return
    case "Undo":
      if (node.undo !== "plain") yield { ...node, undo: "plain" }
      if (node.takes > 0) yield { ...node, takes: node.takes - 1 }
      return
    case "Signal":
      if (node.how === "fails") yield { ...node, how: "succeeds" }
      return
    case "All":
      if (node.concurrency !== "unbounded") yield { ...node, concurrency: "unbounded" }
      return
    case "Retry":
      if (node.failures > 0) yield { ...node, failures: node.failures - 1 }
      if (node.delayed) yield { ...node, delayed: false }
      return
    case "Child":
      if (node.end !== "succeeds") yield { ...node, end: "succeeds" }
      return
    case "Ensuring":
      if (node.by === "step") yield { ...node, by: "plain" }
      return
    case "Acquire":
      if (node.acquire === "step") yield { ...node, acquire: "plain" }
      if (node.release === "step") yield { ...node, release: "plain" }
      return
    default:
      return
  }
}
