/**
 * What the environment says about an executor: every variable, its default and what it allows.
 *
 * Read through Effect's Config, so another ConfigProvider may stand in for the environment. All
 * variables that are wrong are named at once.
 */

import { isIP } from "node:net"
import type * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RunnerConfig from "./engine/RunnerConfig.js"
import * as Authorization from "./http/Authorization.js"
import { isLoopback } from "./internal/Loopback.js"
import { isSchemaName } from "./internal/SchemaName.js"
import * as Variable from "./internal/Variable.js"

export type LogFormat = "pretty" | "json"

/** Where the runs are kept. */
export type Database =
  | { readonly _tag: "File"; readonly file: string }
  | {
      readonly _tag: "Postgres"
      readonly url: Redacted.Redacted
      readonly schema: string | undefined
    }

export interface Settings {
  /**
   * `DATABASE_FILE`: the SQLite file; its folder is made. Default: `data/executor.db`. Or instead
   * `DATABASE_URL`, of PostgreSQL, and `DATABASE_SCHEMA`, by default `workflow_executor`.
   */
  readonly database: Database
  /** `HOST`: the name or address to listen on. Default: `127.0.0.1`, this machine only. */
  readonly host: string
  /** `PORT`: 0 to 65535; 0 takes a free one. Default: 3400. */
  readonly port: number
  /**
   * `AUTH_SECRET`: HS256 key of the bearer tokens; 32 bytes or more. Without one a random key is
   * made, on a loopback address only. Then those of `AUTH_SECRETS_ACCEPTED`, whose tokens are
   * accepted too: see `Authorization.Secrets` for how a secret is changed.
   */
  readonly authSecret: Arr.NonEmptyReadonlyArray<Redacted.Redacted> | undefined
  /**
   * `STACKS_FOR_READERS`: `true` also tells tokens without the scope `admin` where an unexpected error
   * came from. Default: not set.
   */
  readonly stacksForReaders: boolean | undefined
  /**
   * `VALUES_FOR_READERS`: `false` tells payloads, results and what errors say to tokens with the scope
   * `admin` alone. Default: not set.
   */
  readonly valuesForReaders: boolean | undefined
  /** What `RunnerConfig.config` reads. */
  readonly runner: RunnerConfig.RunnerConfig["Type"]
}

const databaseFile = Variable.make("DATABASE_FILE", {
  option: "--database",
  allowed: "the path of a file",
  parse: (text) => text
}).pipe(Config.withDefault(undefined))

const databaseUrl = Variable.make("DATABASE_URL", {
  option: "--database-url",
  secret: true,
  allowed: "the URL of a PostgreSQL database, such as postgres://user:password@host:5432/name",
  parse: (text) =>
    URL.canParse(text.trim()) && /^postgres(ql)?:$/.test(new URL(text.trim()).protocol)
      ? Redacted.make(text.trim())
      : undefined
}).pipe(Config.withDefault(undefined))

const databaseSchema = Variable.make("DATABASE_SCHEMA", {
  allowed:
    "the name of a schema: 1 to 63 lower-case letters, digits and underscores, beginning with neither a digit nor pg_",
  parse: (text) => (isSchemaName(text) ? text : undefined)
}).pipe(Config.withDefault(undefined))

const refused = (name: string, message: string) =>
  Either.left(ConfigError.InvalidData([name], message))

/** `DATABASE_FILE`, or `DATABASE_URL` and `DATABASE_SCHEMA`. */
export const database: Config.Config<Database> = Config.all({
  file: databaseFile,
  url: databaseUrl,
  schema: databaseSchema
}).pipe(
  Config.mapOrFail(({ file, schema, url }): Either.Either<Database, ConfigError.ConfigError> => {
    if (url === undefined) {
      return schema === undefined
        ? Either.right({ _tag: "File", file: file ?? "data/executor.db" })
        : refused(
            "DATABASE_SCHEMA",
            `DATABASE_SCHEMA is "${schema}", and DATABASE_URL is not set; expected both, or neither: a file has no schemas`
          )
    }
    return file === undefined
      ? Either.right({ _tag: "Postgres", url, schema })
      : refused(
          "DATABASE_URL",
          `DATABASE_URL (option --database-url) is set, and so is DATABASE_FILE (option --database), to "${file}"; expected one of them`
        )
  })
)

const hostName = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i

const host = Variable.make("HOST", {
  option: "--host",
  allowed: "a host name or an IP address, without scheme and port",
  // what looks like an IPv4 address is one
  parse: (text) =>
    isIP(text) !== 0 || (hostName.test(text) && !/^[\d.]+$/.test(text)) ? text : undefined
}).pipe(Config.withDefault("127.0.0.1"))

const port = Variable.integer("PORT", {
  option: "--port",
  min: 0,
  max: 65_535,
  allowed: "a whole number from 0 to 65535, where 0 takes a free port"
}).pipe(Config.withDefault(3400))

/** `HOST` and `PORT`. */
export const address: Config.Config<Pick<Settings, "host" | "port">> = Config.all({ host, port })

/** `AUTH_SECRET`, which signs, and then those of `AUTH_SECRETS_ACCEPTED`. */
export const authSecret: Config.Config<Settings["authSecret"]> = Config.all({
  signing: Variable.make("AUTH_SECRET", {
    secret: true,
    allowed: "a text",
    parse: (text) => Redacted.make(text)
  }).pipe(Config.withDefault(undefined)),
  accepted: Variable.make("AUTH_SECRETS_ACCEPTED", {
    secret: true,
    allowed: "secrets separated by commas, or a JSON array of strings",
    parse: Authorization.parseSecrets
  }).pipe(Config.withDefault([]))
}).pipe(
  Config.mapOrFail(({ accepted, signing }) => {
    if (signing !== undefined) return Either.right([signing, ...accepted] as const)
    return accepted.length === 0
      ? Either.right(undefined)
      : Either.left(
          ConfigError.InvalidData(
            ["AUTH_SECRET"],
            "AUTH_SECRET is not set, and AUTH_SECRETS_ACCEPTED is; expected the secret that signs in AUTH_SECRET, and others that are accepted too in AUTH_SECRETS_ACCEPTED"
          )
        )
  })
)

const stacksForReaders = Variable.oneOf<boolean>("STACKS_FOR_READERS", {
  true: true,
  false: false
}).pipe(Config.withDefault(undefined))

const valuesForReaders = Variable.oneOf<boolean>("VALUES_FOR_READERS", {
  true: true,
  false: false
}).pipe(Config.withDefault(undefined))

/** Every variable but those of the log. */
export const config: Config.Config<Settings> = Config.all({
  database,
  host,
  port,
  authSecret,
  stacksForReaders,
  valuesForReaders,
  runner: RunnerConfig.config
}).pipe(
  Config.mapOrFail((settings) =>
    settings.authSecret !== undefined || isLoopback(settings.host)
      ? Either.right(settings)
      : Either.left(
          ConfigError.InvalidData(
            ["AUTH_SECRET"],
            `AUTH_SECRET is not set, which is allowed on a loopback address only, and HOST (option --host) is "${settings.host}"; expected a secret of 32 bytes or more`
          )
        )
  )
)

export interface LogSettings {
  /** `LOG_LEVEL`: what is below it is not logged. Default: the app's own, else `Info`. */
  readonly level: LogLevel.LogLevel | undefined
  /** `LOG_FORMAT`. Default: `pretty` on a terminal, else `json`. */
  readonly format: LogFormat
}

/** Effect's own words for the levels, and those that people type. */
const levels: Readonly<Record<string, LogLevel.LogLevel>> = {
  All: LogLevel.All,
  Trace: LogLevel.Trace,
  Debug: LogLevel.Debug,
  Info: LogLevel.Info,
  Warning: LogLevel.Warning,
  Warn: LogLevel.Warning,
  Error: LogLevel.Error,
  Fatal: LogLevel.Fatal,
  None: LogLevel.None
}

const formatOfOutput = Effect.sync((): LogFormat => (process.stdout.isTTY ? "pretty" : "json"))

const logLevel = Variable.oneOf("LOG_LEVEL", levels).pipe(Config.withDefault(undefined))

const logFormat = Variable.oneOf<LogFormat>("LOG_FORMAT", { pretty: "pretty", json: "json" }).pipe(
  Config.option
)

/** The variables of the log. */
export const log: Effect.Effect<LogSettings, ConfigError.ConfigError> = Effect.flatMap(
  Config.all({ level: logLevel, format: logFormat }),
  ({ format, level }) =>
    Effect.map(
      Option.match(format, { onNone: () => formatOfOutput, onSome: Effect.succeed }),
      (format) => ({ level, format })
    )
)

/** The variables of the log as far as they can be read: for saying which cannot. */
export const logAsReadable: Effect.Effect<LogSettings> = Effect.gen(function* () {
  const level = yield* Effect.orElseSucceed(logLevel, () => undefined)
  const format = yield* Effect.orElseSucceed(logFormat, () => Option.none<LogFormat>())
  return { level, format: Option.getOrElse(format, () => undefined) ?? (yield* formatOfOutput) }
})

/** Both. Fails with what is wrong in either. */
export const together = <A, B>(
  first: Effect.Effect<A, ConfigError.ConfigError>,
  second: Effect.Effect<B, ConfigError.ConfigError>
): Effect.Effect<[A, B], ConfigError.ConfigError> =>
  Effect.all([first, second], { mode: "validate" }).pipe(
    Effect.mapError((errors) =>
      errors
        .flatMap((error) => Option.match(error, { onNone: () => [], onSome: (error) => [error] }))
        .reduce((left, right) => ConfigError.And(left, right))
    )
  )

/** All variables. Fails with all that are wrong, those of the log too. */
export const read: Effect.Effect<
  Settings & { readonly log: LogSettings },
  ConfigError.ConfigError
> = Effect.map(together(config, log), ([settings, log]) => ({ ...settings, log }))

/**
 * Puts the log's format and level in place of Effect's own; loggers of the app stay. Lines go to
 * standard output.
 */
export const layerLog = ({ format, level }: LogSettings): Layer.Layer<never> => {
  const standard = [Logger.defaultLogger, Logger.prettyLoggerDefault]
  const logger = format === "json" ? Logger.json : Logger.pretty
  const withFormat = Layer.unwrapEffect(
    Effect.map(FiberRef.get(FiberRef.currentLoggers), (present) =>
      standard.some((logger) => HashSet.has(present, logger))
        ? Layer.provideMerge(logger, Logger.remove(Logger.prettyLoggerDefault))
        : Layer.empty
    )
  )
  return level === undefined ? withFormat : Layer.merge(withFormat, Logger.minimumLogLevel(level))
}
