import { readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { version } from "../../src/internal/Version.js"

it("the version is package.json's", () => {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  assert.strictEqual(JSON.parse(text).version, version)
})
