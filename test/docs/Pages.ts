/**
 * The pages that a newcomer reads, and the code in them.
 */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..")

export interface Block {
  readonly page: string
  /** Of its first line, in the page. */
  readonly line: number
  readonly language: string
  readonly code: string
}

export interface Page {
  /** Relative to the project. */
  readonly path: string
  readonly text: string
  readonly blocks: ReadonlyArray<Block>
}

const blocksOf = (page: string, text: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const lines = text.split("\n")
  for (let start = 0; start < lines.length; start++) {
    const language = /^```(\w+)$/.exec(lines[start] ?? "")?.[1]
    if (language === undefined) continue
    const end = lines.indexOf("```", start)
    if (end === -1) throw new Error(`${page}:${start + 1}: this block does not end`)
    blocks.push({ page, line: start + 2, language, code: lines.slice(start + 1, end).join("\n") })
    start = end
  }
  return blocks
}

const read = (path: string): Page => {
  const text = readFileSync(join(root, path), "utf8")
  return { path, text, blocks: blocksOf(path, text) }
}

export const pages: ReadonlyArray<Page> = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`)
].map(read)

export const blocks = (language: string): ReadonlyArray<Block> =>
  pages.flatMap((page) => page.blocks.filter((block) => block.language === language))

/** One command of a shell block: `A=b name argument`, as far as these pages go. */
export interface Command {
  readonly at: string
  readonly variables: ReadonlyArray<string>
  readonly name: string
  readonly args: ReadonlyArray<string>
}

const words = (line: string) =>
  Array.from(line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g), ([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single)
  )

export const commands = ({ code, line, page }: Block): ReadonlyArray<Command> =>
  code
    .replace(/\\\n/g, "  ")
    .split("\n")
    .filter((text) => text.trim() !== "" && !text.startsWith("#"))
    .flatMap((text) => text.split(/ && | \| (?![^']*'$)/))
    .map((text) => {
      const all = words(text)
      const isVariable = (word: string) => /^[A-Z_]+=/.test(word)
      const first = all.findIndex((word) => !isVariable(word))
      const count = first === -1 ? all.length : first
      return {
        at: `${page}:${line}: ${text.trim()}`,
        variables: all.slice(0, count).map((word) => word.slice(0, word.indexOf("="))),
        name: all[count] ?? "",
        args: all.slice(count + 1)
      }
    })
