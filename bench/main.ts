/**
 * The parent: measures case after case in child processes, prints and writes what they found.
 *
 * Figures that are missed are reported and no failure. A case that crashes is one, after the others
 * have been measured.
 */
import { rmSync } from "node:fs"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Before from "./Before.js"
import { all } from "./cases/all.js"
import { type Case, Skipped } from "./cases/Case.js"
import * as Child from "./harness/Child.js"
import * as Options from "./Options.js"
import * as Figures from "./report/Figures.js"
import * as Machine from "./report/Machine.js"
import * as Profiles from "./report/Profiles.js"
import * as Text from "./report/Text.js"
import * as Write from "./report/Write.js"
import type { Sizes } from "./Sizes.js"
import * as Subjects from "./Subjects.js"

/** `npm run bench` starts this in the package's folder. */
const root = process.cwd()
const folder = join(tmpdir(), "effect-workflow-executor-bench")
const resultsFolder = join(root, "bench", "results")

const log = (text: string) => console.log(text)
const progress = (text: string) => console.error(`  ${text}`)
const warn = (text: string) => console.error(`! ${text}`)

const measure = async (
  case_: Case,
  sizes: Sizes,
  subjects: ReadonlyArray<Subjects.Subject>,
  profiles: string | undefined
): Promise<Write.CaseResult> => {
  const children = Child.make({ warn, profiles })
  const own = await mkdtemp(join(folder, `${case_.name}-`))
  // files of a case can be large; its children end with this process
  const abandon = () => {
    rmSync(own, { recursive: true, force: true })
    process.exit(1)
  }
  process.once("SIGINT", abandon).once("SIGTERM", abandon)
  const began = performance.now()
  const result = (
    tables: Write.CaseResult["tables"],
    without: Pick<Write.CaseResult, "crash" | "skipped"> = {}
  ): Write.CaseResult => ({
    name: case_.name,
    title: case_.title,
    seconds: Math.round((performance.now() - began) / 1000),
    tables,
    ...without
  })
  try {
    const context = { sizes, subjects, progress, folder: own, cache: join(folder, "cache") }
    return result(await case_.measure({ ...context, open: children.open }))
  } catch (error) {
    if (error instanceof Skipped) return result([], { skipped: error.message })
    const crash = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return result([], { crash })
  } finally {
    process.off("SIGINT", abandon).off("SIGTERM", abandon)
    await children.closeAll()
    await rm(own, { recursive: true, force: true })
  }
}

const select = (names: ReadonlyArray<string>): ReadonlyArray<Case> => {
  for (const name of names) {
    if (!all.some((case_) => case_.name === name)) {
      throw new Error(
        `there is no case ${JSON.stringify(name)}; there are ${all.map(({ name }) => name).join(", ")}`
      )
    }
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name))
}

const main = async () => {
  const options = Options.parse(process.argv.slice(2))
  if (options.help) {
    log(Options.usage)
    for (const { name, title } of all) log(`  ${name.padEnd(14)}  ${title}`)
    return
  }
  const selected = select(options.cases)
  if (options.publish && (options.quick || options.cases.length > 0 || options.against)) {
    throw new Error("what is published is one whole run: leave out --quick, --case and --against")
  }
  const { against } = options
  const subjects = Subjects.make(against === undefined ? undefined : Before.prepare(against))
  await mkdir(folder, { recursive: true })
  const startedAt = new Date().toISOString()
  const machine = await Machine.read(root, folder)
  log(Machine.describe(machine))
  if (options.quick) log("QUICK: shows that everything works; its numbers mean nothing")

  const cases: Array<Write.CaseResult> = []
  for (const case_ of selected) {
    log(`\n=== ${case_.name}: ${case_.title}`)
    const profiles = options.profile ? join(resultsFolder, "profiles", case_.name) : undefined
    if (profiles !== undefined) await rm(profiles, { recursive: true, force: true })
    const result = await measure(case_, options.sizes, subjects, profiles)
    cases.push(result)
    for (const table of result.tables) log(Text.table(table))
    if (result.skipped !== undefined) log(`skipped: ${result.skipped}`)
    if (result.crash !== undefined) warn(`${case_.name} crashed: ${result.crash}`)
    if (profiles !== undefined) log(await Profiles.summary(profiles))
    log(`\n(${result.seconds} s)`)
  }

  const figures = Figures.judge(cases.flatMap(({ tables }) => tables))
  log(`\n=== Figures to reach\n\n${Text.figures(figures)}`)
  const { quick, sizes } = options
  const results = { startedAt, quick, sizes, machine, figures, cases }
  const crashed = cases.filter(({ crash }) => crash !== undefined)
  const publish = options.publish && crashed.length === 0
  const published = publish ? join(root, "docs", "benchmarks") : undefined
  const files = await Write.write(resultsFolder, results, published)
  log(`\n${files.length} files in ${resultsFolder}${publish ? ` and ${published}` : ""}`)
  if (crashed.length > 0) {
    warn(`crashed: ${crashed.map(({ name }) => name).join(", ")}`)
    process.exitCode = 1
  }
}

try {
  await main()
} catch (error) {
  warn(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
