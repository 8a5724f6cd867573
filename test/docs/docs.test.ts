import { existsSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { HttpApi } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import ts from "typescript"
import { Approval, Order } from "../../examples/order.js"
import { Api } from "../../src/api/Api.js"
import { QueueLimitsView } from "../../src/api/Queues.js"
import { RunWithStepsView } from "../../src/api/RunView.js"
import { BackfillRequest, PutScheduleRequest } from "../../src/api/Schedules.js"
import { StartOptionsBody } from "../../src/api/StartOptions.js"
import { run } from "../../src/cli/Command.js"
import { OtlpNotInstalled } from "../../src/cli/Telemetry.js"
import { type Block, blocks, type Command, commands, pages, root } from "./Pages.js"

// ---------------------------------------------------------------------------------------------
// TypeScript
// ---------------------------------------------------------------------------------------------

/** As if it were a file beside the examples, whose modules it may import; nothing is written. */
const fileOf = ({ line, page }: Block) =>
  join(root, "examples", `${page.replace(/\W/g, "-")}-${line}.ts`)

/** Every block with what the compiler has to say about it, by one program with our strictness. */
const typeErrors = (snippets: ReadonlyArray<Block>): ReadonlyArray<string> => {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, "tsconfig.json"),
    // what a snippet makes need not be used in it
    { incremental: false, noUnusedLocals: false },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} }
  )
  if (config === undefined) throw new Error("tsconfig.json cannot be read")
  const { tsBuildInfoFile: _, ...options } = config.options
  const files = new Map(snippets.map((block) => [fileOf(block), block]))
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (file) => files.has(file) || fileExists(file)
  host.readFile = (file) => files.get(file)?.code ?? readFile(file)
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const block = files.get(file)
    return block === undefined
      ? getSourceFile(file, languageVersion, ...rest)
      : ts.createSourceFile(file, block.code, languageVersion)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  return [...files].flatMap(([file, { line, page }]) => {
    const source = program.getSourceFile(file)
    return [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source)
    ].map((diagnostic) => {
      const at = source?.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line ?? 0
      return `${page}:${line + at}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")}`
    })
  })
}

const llms = readFileSync(join(root, "llms.txt"), "utf8")

/** Its one block of code, which is indented. */
const workflowOfLlms: Block = (() => {
  const lines = llms.split("\n")
  const start = lines.findIndex((line) => line.startsWith("    import "))
  const end = lines.findIndex((line, index) => index > start && /^\S/.test(line))
  const code = lines.slice(start, end).map((line) => line.slice(4))
  return { page: "llms.txt", line: start + 1, language: "ts", code: code.join("\n") }
})()

const wrongBlock: Block = {
  page: "wrong.md",
  line: 3,
  language: "ts",
  code: `import { Executor } from "effect-workflow-executor"\n\nExecutor.layer({ workflow: 1 })`
}

describe("TypeScript in the documentation", () => {
  it("type-checks, and would be caught if it did not", { timeout: 120_000 }, () => {
    const snippets = [...blocks("ts"), workflowOfLlms]
    assert.isAbove(snippets.length, 5)
    const errors = typeErrors([wrongBlock, ...snippets])
    assert.match(errors[0] ?? "", /^wrong\.md:5: .*'workflow' does not exist/s)
    assert.deepStrictEqual(errors.slice(1), [])
  })

  it("is, as a program of one's own, under 15 lines beyond its workflows", () => {
    const program = readFileSync(join(root, "examples/main.ts"), "utf8")
    assert.isBelow(program.trim().split("\n").length, 15)
  })
})

// ---------------------------------------------------------------------------------------------
// Shell
// ---------------------------------------------------------------------------------------------

const all = blocks("sh").flatMap(commands)

const Texts = Schema.Record({ key: Schema.String, value: Schema.String })

const { bin, devDependencies, name, peerDependencies, peerDependenciesMeta, scripts } =
  Schema.decodeUnknownSync(
    Schema.parseJson(
      Schema.Struct({
        name: Schema.String,
        scripts: Texts,
        bin: Texts,
        devDependencies: Texts,
        peerDependencies: Texts,
        peerDependenciesMeta: Schema.Record({
          key: Schema.String,
          value: Schema.Struct({ optional: Schema.Boolean })
        })
      })
    )
  )(readFileSync(join(root, "package.json"), "utf8"))

/** What a page may tell to install. */
const installable = new Set([
  name,
  ...Object.keys(peerDependencies),
  ...Object.keys(devDependencies)
])

/** What `--help` of one of our commands says, without the colours. */
const helpOf = (command: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const said: Array<string> = []
    const { log } = console
    console.log = (...args: ReadonlyArray<unknown>) => void said.push(args.join(" "))
    try {
      const { NodeContext } = await import("@effect/platform-node")
      const asked = run(["node", "workflow-executor", ...command, "--help"])
      await Effect.runPromise(Effect.provide(asked, NodeContext.layer))
    } finally {
      console.log = log
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    return said.join("\n").replace(/\u001b\[[0-9;]*m/g, "")
  })

/** Of each command, such as `runs list`, what `--help` says. */
type Helps = ReadonlyMap<string, string>

const helps: Effect.Effect<Helps> = Effect.gen(function* () {
  const found = new Map<string, string>()
  const all = yield* helpOf([])
  const names = Array.from(all.matchAll(/^ {2}- ((?:[a-z]+ )+) *\[?[-<]/gm), ([, name = ""]) =>
    name.trim()
  )
  for (const name of names) found.set(name, yield* helpOf(name.split(" ")))
  return found
})

interface Endpoint {
  readonly method: string
  readonly path: RegExp
  readonly parameters: ReadonlyArray<string>
}

const endpoints: ReadonlyArray<Endpoint> = (() => {
  const found: Array<Endpoint> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const parameters =
        endpoint.urlParamsSchema._tag === "None"
          ? []
          : SchemaAST.getPropertySignatures(
              SchemaAST.encodedAST(endpoint.urlParamsSchema.value.ast)
            ).map(({ name }) => String(name))
      const path = new RegExp(`^${endpoint.path.replace(/:\w+/g, "[^/]+")}$`)
      found.push({ method: endpoint.method, path, parameters })
    }
  })
  return found
})()

const bodies: ReadonlyArray<readonly [RegExp, Schema.Schema<unknown, unknown>]> = [
  [
    /^\/runs$/,
    Schema.asSchema(
      Schema.Struct({
        workflow: Schema.Literal(Order.name),
        payload: Order.payloadSchema,
        options: Schema.optional(StartOptionsBody)
      })
    ) as Schema.Schema<unknown, unknown>
  ],
  [/^\/schedules\/[^/]+$/, Schema.asSchema(PutScheduleRequest) as Schema.Schema<unknown, unknown>],
  [
    /^\/schedules\/[^/]+\/backfill$/,
    Schema.asSchema(BackfillRequest) as Schema.Schema<unknown, unknown>
  ],
  [
    /\/terminate$/,
    Schema.asSchema(
      Schema.Struct({
        reason: Schema.optional(Schema.String),
        children: Schema.optional(Schema.Boolean)
      })
    ) as Schema.Schema<unknown, unknown>
  ],
  [
    /\/queues\/Invoice$/,
    Schema.asSchema(Schema.Struct({ limits: QueueLimitsView })) as Schema.Schema<unknown, unknown>
  ],
  [
    /\/pauses\/Order$/,
    Schema.asSchema(Schema.Struct({ park: Schema.optional(Schema.Boolean) })) as Schema.Schema<
      unknown,
      unknown
    >
  ],
  [
    /\/signals\/Approval$/,
    Schema.asSchema(Schema.Struct({ value: Approval.successSchema })) as Schema.Schema<
      unknown,
      unknown
    >
  ]
]

/** What is wrong with a request to the executor, if anything. */
const wrongRequest = ({ args }: Command): string | undefined => {
  const url = new URL(args.find((arg) => arg.startsWith("http")) ?? "")
  const body = args[args.indexOf("--json") + 1]
  const said = args.includes("-X") ? args[args.indexOf("-X") + 1] : undefined
  const asked = said ?? (args.includes("--json") ? "POST" : "GET")
  const endpoint = endpoints.find(({ method, path }) => method === asked && path.test(url.pathname))
  if (endpoint === undefined) return "there is no such endpoint"
  for (const name of url.searchParams.keys()) {
    if (!endpoint.parameters.includes(name)) return `there is no parameter ${name}`
  }
  if (!args.includes("--json")) return undefined
  const schema = bodies.find(([path]) => path.test(url.pathname))?.[1]
  if (schema === undefined) return "this test does not know its body"
  const decoded = Schema.decodeUnknownEither(Schema.parseJson(schema))(body)
  return decoded._tag === "Left" ? decoded.left.message : undefined
}

const wrongNpm = ([verb = "", ...args]: ReadonlyArray<string>) => {
  const [first = ""] = args
  if (verb === "install" && first !== "") {
    // versions are looked at where all of them are
    return args
      .filter((arg) => arg !== "--save-dev")
      .map((arg) => arg.replace(/(.)@.*$/, "$1"))
      .every((name) => installable.has(name))
      ? undefined
      : "package.json has no such package"
  }
  return verb === "ci" || (verb === "run" ? first : verb) in scripts
    ? undefined
    : "package.json has no such script"
}

/** The arguments of our command, or `undefined` when it is another one. */
const argsOfExecutor = ({ args, name }: Command) =>
  (name === "npx" && args[0] !== undefined && args[0] in bin) ||
  (name === "node" && Object.values(bin).includes(args[0] ?? ""))
    ? args.slice(1)
    : undefined

const otherCommands = ["jq", "sqlite3"]

const wrongExecutor = (args: ReadonlyArray<string>, helps: Helps): string | undefined => {
  if (args[0] === "--completions") return undefined
  const help = helps.get(args.slice(0, 2).join(" ")) ?? helps.get(args[0] ?? "")
  if (help === undefined) return "there is no such command"
  const option = args.find(
    (arg) => arg.startsWith("--") && !new RegExp(`${arg}(?![\\w-])`).test(help)
  )
  return option === undefined ? undefined : `there is no option ${option}`
}

const wrong = (command: Command, helps: Helps): string | undefined => {
  const { args, name } = command
  const executor = argsOfExecutor(command)
  if (executor !== undefined) return wrongExecutor(executor, helps)
  if (name === "curl") return wrongRequest(command)
  if (name === "npm") return wrongNpm(args)
  // variables of the shell only
  if (name === "") return undefined
  return otherCommands.includes(name) ? undefined : "this test does not know the command"
}

describe("commands in the documentation", () => {
  it.effect("use scripts, options, endpoints and bodies that exist", () =>
    Effect.gen(function* () {
      const said = yield* helps
      assert.includeMembers([...said.keys()], ["start", "runs list", "doctor"])
      assert.isAbove(all.length, 10)
      const found = all.flatMap((command) => {
        const problem = wrong(command, said)
        return problem === undefined ? [] : [`${command.at}: ${problem}`]
      })
      assert.deepStrictEqual(found, [])
    })
  )

  it.effect("would be caught if they did not", () =>
    Effect.gen(function* () {
      const said = yield* helps
      const lines = [
        "npm run nothing",
        "npm install nothing",
        "npx workflow-executor stop",
        "node dist/bin.js start --color red",
        "npx workflow-executor runs forget 1",
        "npx workflow-executor runs list --full",
        "curl http://localhost:3400/nothing",
        'curl "http://localhost:3400/runs?colour=red"',
        `curl http://localhost:3400/runs --json '{ "workflow": "Order", "payload": {} }'`,
        "curl http://localhost:3400/runs/1/resume"
      ]
      for (const code of lines) {
        const parsed = commands({ page: "wrong.md", line: 1, language: "sh", code })
        assert.strictEqual(parsed.length, 1)
        for (const command of parsed) assert.isDefined(wrong(command, said), code)
      }
    })
  )

  it("set variables that the page uses, or that our command reads", () => {
    for (const page of pages) {
      const shell = page.blocks.filter(({ language }) => language === "sh")
      for (const command of shell.flatMap(commands)) {
        for (const name of command.variables) {
          if (argsOfExecutor(command) === undefined) {
            assert.include(page.text, `$${name}`, command.at)
          } else {
            assert.include(variables, name, command.at)
          }
        }
      }
    }
  })
})

// ---------------------------------------------------------------------------------------------
// The rest
// ---------------------------------------------------------------------------------------------

const anchorsOf = (text: string) =>
  Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replace(/\s/g, "-")
  )

/** The variables that these sources read. */
const variables = [
  "src/Settings.ts",
  "src/engine/RunnerConfig.ts",
  "src/telemetry/OtlpSettings.ts"
].flatMap((path) =>
  Array.from(
    readFileSync(join(root, path), "utf8").matchAll(/\b\w+(?:<\w+>)?\("([A-Z][A-Z_]+)"/g),
    ([, name = ""]) => name
  )
)

describe("the documentation", () => {
  it("has all variables of the environment, and no others", () => {
    const operating = pages.find(({ path }) => path === "docs/operating.md")
    const told = Array.from(
      (operating?.text ?? "").matchAll(/`([A-Z][A-Z_]+)`(?= (?:\||\/))/g),
      ([, name = ""]) => name
    )
    assert.deepStrictEqual([...told].sort(), [...new Set(variables)].sort())
  })

  it("links to what is there", () => {
    const broken: Array<string> = []
    for (const page of pages) {
      for (const [, target = ""] of page.text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue
        const [file = "", anchor] = target.split("#")
        const path = file === "" ? page.path : normalize(join(dirname(page.path), file))
        const found = pages.find((other) => other.path === path)
        const holds =
          existsSync(join(root, path)) &&
          (anchor === undefined || (found !== undefined && anchorsOf(found.text).includes(anchor)))
        if (!holds) broken.push(`${page.path}: ${target}`)
      }
    }
    assert.deepStrictEqual(broken, [])
  })

  it("has JSON that is JSON", () => {
    for (const { code, line, page } of blocks("json")) {
      assert.doesNotThrow(() => JSON.parse(code), `${page}:${line}`)
    }
  })

  it("shows a run as the API sends it, one with its result and one with its cause", () => {
    const decode = Schema.decodeUnknownSync(RunWithStepsView, { onExcessProperty: "error" })
    const shown = blocks("json")
      .map(({ code }): unknown => JSON.parse(code))
      .filter((value) => Predicate.hasProperty(value, "steps"))
      .map((value) => decode(value))
    assert.isTrue(
      shown.some(({ result, status }) => status === "completed" && result !== undefined)
    )
    for (const { cause, error, status } of shown) {
      assert.strictEqual(cause !== undefined, status === "failed")
      assert.strictEqual(error !== undefined, status === "failed")
    }
    assert.isTrue(shown.some(({ status }) => status === "failed"))
  })
})

describe("what is to be installed", () => {
  /** As far as `^` does not go beyond it: the major version, or the minor one of 0.x. */
  const versionOf = (name: string) => {
    const [, major, minor] =
      /(\d+)\.(\d+)/.exec(peerDependencies[name] ?? devDependencies[name] ?? "") ?? []
    return major === "0" ? `0.${minor}` : major
  }

  const installed = (text: string) =>
    Array.from(text.matchAll(/npm install (?:--save-dev )?([^\n"`;]+)/g), ([, words = ""]) =>
      words.trim().split(/\s+/)
    )

  it("has the versions of package.json, on every page and in the message of the command", () => {
    const message = new OtlpNotInstalled({ cause: undefined }).message
    const named = [...pages.map(({ text }) => text), llms, message]
      .flatMap(installed)
      .flat()
      .filter((word) => /^(@effect\/|effect(@|$)|vitest)/.test(word))
    assert.isAbove(named.length, 15)
    for (const word of named) {
      const name = word.replace(/(.)@.*$/, "$1")
      assert.strictEqual(word, `${name}@${versionOf(name)}`)
    }
  })

  it("has every peer that has to be there, in README.md and in llms.txt", () => {
    const needed = Object.keys(peerDependencies)
      .filter((name) => peerDependenciesMeta[name]?.optional !== true)
      .map((name) => `${name}@${versionOf(name)}`)
    const readme = pages.find(({ path }) => path === "README.md")?.text ?? ""
    for (const text of [readme, llms]) {
      assert.includeMembers(installed(text)[0] ?? [], needed)
    }
  })
})
