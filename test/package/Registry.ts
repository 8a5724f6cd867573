/**
 * A registry of packages on this machine: what this checkout has installed, as npm asks for it, with
 * the package itself. As in npm's own registry the `latest` of what has left Effect 3 is Effect 4: whoever
 * names no version gets that.
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as App from "./App.js"

const Texts = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const optional = Schema.optionalWith(Schema.Unknown, { exact: true })

/** What npm reads of a version. */
const Manifest = Schema.Struct({
  name: Schema.String,
  version: Schema.String,
  dependencies: Schema.optionalWith(Texts, { exact: true }),
  peerDependencies: Schema.optionalWith(Texts, { exact: true }),
  peerDependenciesMeta: optional,
  optionalDependencies: optional,
  engines: optional,
  os: optional,
  cpu: optional,
  libc: optional,
  bin: optional
})
type Manifest = typeof Manifest.Type

const decodeManifest = Schema.decodeUnknownSync(Schema.parseJson(Manifest))
const decodeLock = Schema.decodeUnknownSync(
  Schema.parseJson(Schema.Struct({ packages: Schema.Record({ key: Schema.String, value: Texts }) }))
)

/** A version, and the folder with its files. */
interface Version {
  readonly manifest: Manifest
  readonly folder: string | undefined
}

const manifestOf = (folder: string) =>
  decodeManifest(readFileSync(join(folder, "package.json"), "utf8"))

const installed = (): ReadonlyArray<Version> =>
  Object.keys(decodeLock(readFileSync(join(App.root, "package-lock.json"), "utf8")).packages)
    .filter((path) => path !== "" && existsSync(join(App.root, path, "package.json")))
    .map((path) => ({
      manifest: manifestOf(join(App.root, path)),
      folder: join(App.root, path)
    }))

/** Of which npm's `latest` is made for Effect 4. */
const onEffect4 = [
  "effect",
  "@effect/opentelemetry",
  "@effect/platform-node",
  "@effect/sql-sqlite-node",
  "@effect/vitest"
]

const effect4 = (name: string): Version => ({
  manifest: {
    name,
    version: "4.0.0",
    peerDependencies: name === "effect" ? {} : { effect: "^4.0.0" }
  },
  folder: undefined
})

const packumentOf = (name: string, versions: ReadonlyArray<Version>, url: string) => ({
  name,
  "dist-tags": { latest: versions.at(-1)?.manifest.version },
  versions: Object.fromEntries(
    versions.map(({ manifest }) => [
      manifest.version,
      { ...manifest, dist: { tarball: `${url}/${name}/-/${manifest.version}.tgz` } }
    ])
  )
})

const send = (response: ServerResponse, { folder }: Version, own: string) => {
  if (folder === undefined) return response.writeHead(404).end()
  response.writeHead(200, { "content-type": "application/octet-stream" })
  const args =
    folder === App.root
      ? ["-c", 'exec cat "$0"', own]
      : [
          "-c",
          'exec tar -czf - --exclude=./node_modules --transform "s,^\\\\.,package," -C "$0" .',
          folder
        ]
  spawn("sh", args, { stdio: ["ignore", "pipe", "inherit"] }).stdout.pipe(response)
}

const byName = (): Readonly<Record<string, ReadonlyArray<Version>>> => {
  const own: Version = { manifest: manifestOf(App.root), folder: App.root }
  const all = [own, ...installed(), ...onEffect4.map(effect4)]
  return Arr.groupBy(all, ({ manifest }) => manifest.name)
}

/** @param folder where the package itself is packed; the address of the registry */
export const make = (folder: string) =>
  Effect.gen(function* () {
    const { tarball } = yield* Effect.promise(() => App.pack(folder))
    const packages = byName()
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      const url = `http://${request.headers.host}`
      const path = decodeURIComponent(new URL(request.url ?? "/", url).pathname).slice(1)
      const [name = "", file] = path.split("/-/")
      const versions = packages[name]
      if (versions === undefined) return response.writeHead(404).end("{}")
      if (file === undefined) return response.end(JSON.stringify(packumentOf(name, versions, url)))
      const version = versions.find(({ manifest }) => `${manifest.version}.tgz` === file)
      return version === undefined
        ? response.writeHead(404).end()
        : send(response, version, tarball)
    }
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const listening = createServer(answer)
        listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
      }),
      (listening) =>
        Effect.async<void>((resume) => {
          listening.close(() => resume(Effect.void))
          listening.closeAllConnections()
        })
    )
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
