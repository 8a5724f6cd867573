/** The browser of this machine. */
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"

/** `undefined` where there is none. */
export const executable = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((path) => path !== undefined && existsSync(path))

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

export const launch = (): Promise<Browser> => {
  if (executable === undefined) {
    throw new Error("There is no Chromium: apt-get install chromium, or set CHROMIUM to its path")
  }
  return chromium.launch({ executablePath: executable, args })
}
