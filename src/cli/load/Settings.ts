/** What a job is configured by: --set before the file of --env-file, and that before the environment. */
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import { fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"

export interface Settings {
  /** As they were given, `key=value` each; later ones stand before earlier ones. */
  readonly set?: ReadonlyArray<string>
  readonly envFile?: string
}

export interface Configured {
  readonly provider: ConfigProvider.ConfigProvider
  /** The keys of --set that nobody has asked for. */
  readonly unasked: () => ReadonlyArray<string>
  /** What is wrong with the configuration of a job, in words; none where it is another error. */
  readonly wrong: (file: string, error: unknown) => CommandError | undefined
}

/** Whether it is a key and a value. */
export const isSetting = (text: string): boolean => /^[^=.]+(?:\.[^=.]+)*=/.test(text)

export const make = ({ envFile, set = [] }: Settings): Effect.Effect<Configured, unknown, Main.Services> =>
  Effect.gen(function* () {
    const forgotten = set.flatMap(forgottenIn)
    const given = new Map(set.map(parsed).filter(([key]) => !forgotten.includes(key)))
    const asked = new Set<string>()
    const tree: Tree = {}
    for (const [key, value] of given) put(tree, key, value)
    const own = ConfigProvider.fromUnknown(tree, { preserveEmptyStrings: true })
    const first = ConfigProvider.make((path) => {
      asked.add(path.join("."))
      return own.load(path)
    })
    const around = envFile === undefined ? environment() : ConfigProvider.orElse(yield* ofFile(envFile), environment())
    for (const key of forgotten) {
      const path = key.split(".")
      if ((yield* around.load(path)) !== undefined) continue
      return yield* Effect.fail(
        new CommandError(
          `It was run with --set ${key}=…, which is not remembered, as it may be secret. Give it again, in the environment as ` +
            `${path.join("_")}, or run the job once more with --set.`
        )
      )
    }
    const all = ConfigProvider.orElse(first, around)
    const absent = new Set<string>()
    return {
      provider: ConfigProvider.make((path) =>
        Effect.tap(all.load(path), (node) => {
          if (node === undefined) absent.add(path.join("."))
          return Effect.void
        })
      ),
      unasked: () => [...given.keys()].filter((key) => !asked.has(key)),
      wrong: (file, error) => (isConfigError(error) ? inWords(file, error, absent) : undefined)
    }
  })

const environment = (): ConfigProvider.ConfigProvider => ConfigProvider.fromEnv()

const ofFile = (file: string): Effect.Effect<ConfigProvider.ConfigProvider, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(fs.readFileString(file), fromPlatform("read the file of --env-file,", file))
    return ConfigProvider.fromDotEnvContents(text)
  })

interface Tree {
  [key: string]: string | Tree
}

const put = (tree: Tree, key: string, value: string): void => {
  const path = key.split(".")
  const last = path.pop()!
  let at = tree
  for (const part of path) {
    const inner = Object.hasOwn(at, part) ? at[part] : undefined
    at = typeof inner === "object" ? inner : (define(at, part, {}) as Tree)
  }
  define(at, last, value)
}

/** Also of a key like `__proto__`. */
const define = (tree: Tree, key: string, value: string | Tree): string | Tree => {
  Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true })
  return value
}

const parsed = (setting: string): readonly [key: string, value: string] => {
  const at = setting.indexOf("=")
  return [setting.slice(0, at), setting.slice(at + 1)]
}

/** As they are remembered: a value that may be secret, by its key or what it is, is left out. */
export const kept = ({ envFile, set }: Settings): Settings => ({
  ...(envFile !== undefined && { envFile }),
  ...(set !== undefined && set.length > 0 && { set: set.map(keptOf) })
})

const keptOf = (setting: string): string => {
  const [key, value] = parsed(setting)
  const isSecret = key.split(".").some((part) => Secrets.isSecretParameter(part, [])) || Secrets.hidden(value) !== value
  return isSecret ? `${key}=${Secrets.mark}` : setting
}

const forgottenIn = (setting: string): ReadonlyArray<string> => {
  const [key, value] = parsed(setting)
  return value === Secrets.mark ? [key] : []
}

const inWords = (file: string, error: Config.ConfigError, absent: ReadonlySet<string>): CommandError => {
  const { cause } = error
  if (!Schema.isSchemaError(cause)) return new CommandError(`Could not run ${file}: ${cause.message}`)
  const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(cause.issue)
  const said = new Map<string, string>()
  for (const { message, path = [] } of issues) {
    const key = path.map((part) => String(typeof part === "object" ? part.key : part))
    const name = key.join(".")
    if (said.has(name)) continue
    said.set(
      name,
      absent.has(name)
        ? `${name} is missing: give it with --set ${name}=…, in the file of --env-file or in the environment as ${key.join("_")}`
        : `${name} is not what it should be: ${message}`
    )
  }
  return new CommandError(`Could not run ${file}: of its configuration, ${[...said.values()].join("; ")}`)
}

const isConfigError = (error: unknown): error is Config.ConfigError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "ConfigError" && "cause" in error
