#!/usr/bin/env node
import { explain } from "./internal/MissingPeer.js"

try {
  const { main } = await import("./cli/Main.js")
  main()
} catch (error) {
  const missing = explain(error)
  if (missing === undefined) throw error
  console.error(missing)
  process.exitCode = 1
}
