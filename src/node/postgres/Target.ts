/** What the URL of a PostgreSQL names, with what the environment adds, as libpq understands both. */
import { existsSync } from "node:fs"
import { userInfo } from "node:os"
import * as PassFile from "./PassFile.ts"

export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full"

export interface Target {
  /** A name or address; a folder, which begins with `/`, has the socket of the server. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string | undefined
  /** Why there is no password where there could be one. */
  readonly passwordMissing: string
  readonly sslMode: SslMode
  /** A file, or "system". */
  readonly sslRootCert: string | undefined
  readonly sslCert: string | undefined
  readonly sslKey: string | undefined
  readonly channelBinding: boolean
  readonly applicationName: string
  /** Settings of the session, as `-c name=value`. */
  readonly options: string
  /** Seconds. */
  readonly connectTimeout: number | undefined
  /** Whether only a server that takes writes will do. */
  readonly writable: boolean
  /** The URL without user and password. */
  readonly name: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** The target, or what is wrong with the URL. */
export const parse = (url: string, password: string | undefined, env: Environment): Target | string => {
  const match = /^postgres(?:ql)?:\/\/(?:([^/?#@]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/is.exec(url)
  if (match === null) return malformed(url)
  const [, credentials, authority = "", path = "", query = ""] = match
  const isCut = credentials === undefined && `${path}${query}`.includes("@")
  if (isCut || authority.includes("@") || path.includes("@")) return unescaped
  try {
    return read(credentials, authority, path, query, password, env)
  } catch (error) {
    if (error instanceof URIError) return "a % in its URL begins no code of two digits. Write % itself as %25"
    return error instanceof Wrong ? error.message : String(error)
  }
}

class Wrong extends Error {}

const malformed = (url: string): string =>
  /[#@]/.test(url) ? unescaped : "its URL cannot be read. It is written postgres://user@host:5432/database"

/** What was meant cannot be known, nor shown: it may be a part of the password. */
const unescaped =
  "its URL cannot be read: characters such as / ? # @ : in user and password are written as %2F %3F %23 %40 %3A"

const read = (
  credentials: string | undefined,
  authority: string,
  path: string,
  query: string,
  given: string | undefined,
  env: Environment
): Target => {
  const colon = credentials?.indexOf(":") ?? -1
  const userText = colon < 0 ? credentials : credentials!.slice(0, colon)
  const passwordText = colon < 0 ? undefined : credentials!.slice(colon + 1)
  const [hostText, portText] = hostAndPort(authority)
  const parameters = parametersOf(query)
  const pick = (value: string | undefined, parameter: string, variable: string): string | undefined =>
    [parameters.get(parameter), value, env[variable]].find((text) => text !== undefined && text !== "")

  const port = portOf(pick(portText, "port", "PGPORT") ?? "5432")
  const host =
    pick(hostText === undefined ? undefined : decodeURIComponent(hostText), "host", "PGHOST") ?? localHost(port)
  if (host.includes(",")) throw new Wrong("its URL names several hosts; name one")
  const user = pick(userText === undefined ? undefined : decodeURIComponent(userText), "user", "PGUSER") ?? systemUser()
  const database = pick(decodeURIComponent(path), "dbname", "PGDATABASE") ?? user
  const inUrl =
    parameters.get("password") ?? (passwordText === undefined ? undefined : decodeURIComponent(passwordText))
  const file = PassFile.find({ host, port, database, user }, pick(undefined, "passfile", "PGPASSFILE"), env)
  const password = [given, inUrl, env["PGPASSWORD"], file.password].find((text) => text !== undefined && text !== "")

  const sslMode = sslModeOf(parameters, env)
  const sslRootCert = pick(undefined, "sslrootcert", "PGSSLROOTCERT")
  if (sslRootCert === "system" && sslMode !== "verify-full" && parameters.has("sslmode")) {
    throw new Wrong(`its sslrootcert=system needs sslmode=verify-full, not ${sslMode}`)
  }
  const binding = pick(undefined, "channel_binding", "PGCHANNELBINDING") ?? "prefer"
  const attributes = pick(undefined, "target_session_attrs", "PGTARGETSESSIONATTRS") ?? "any"
  oneOf("channel_binding", binding, ["disable", "prefer", "require"])
  oneOf("target_session_attrs", attributes, ["any", "read-write", "primary"])
  oneOf("gssencmode", pick(undefined, "gssencmode", "PGGSSENCMODE") ?? "disable", ["disable", "prefer"])
  oneOf("client_encoding", (parameters.get("client_encoding") ?? "utf8").toLowerCase(), ["utf8", "utf-8", "auto"])

  const shownHost = host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host
  return {
    host,
    port,
    user,
    database,
    password,
    passwordMissing: file.ignored ?? "",
    sslMode: sslRootCert === "system" ? "verify-full" : sslMode,
    sslRootCert,
    sslCert: pick(undefined, "sslcert", "PGSSLCERT"),
    sslKey: pick(undefined, "sslkey", "PGSSLKEY"),
    channelBinding: binding === "require",
    applicationName:
      pick(undefined, "application_name", "PGAPPNAME") ?? parameters.get("fallback_application_name") ?? "skein",
    options: pick(undefined, "options", "PGOPTIONS") ?? "",
    connectTimeout: secondsOf(pick(undefined, "connect_timeout", "PGCONNECT_TIMEOUT")),
    writable: attributes !== "any",
    name: `postgres://${shownHost}:${port}/${encodeURIComponent(database)}`
  }
}

const hostAndPort = (authority: string): readonly [string | undefined, string | undefined] => {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority)
  if (match === null) throw new Wrong("its URL has no host and port behind ://")
  const [, host = "", port] = match
  if (port?.includes(":") === true)
    throw new Wrong(`its URL has more than one : behind its host. Write an IPv6 address in [ ]`)
  return [host.replace(/^\[|\]$/g, ""), port]
}

const portOf = (text: string): number => {
  const port = Number(text)
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
  // What is no number may be a password without its host.
  const shown = /^\d+$/.test(text) ? ` ${text}` : ""
  throw new Wrong(`its port${shown} is no number from 1 to 65535. It is written postgres://user@host:5432/database`)
}

const secondsOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (!/^-?\d+$/.test(text)) throw new Wrong(`its connect_timeout is "${text}", and has to be seconds, as 10`)
  return seconds > 0 ? seconds : undefined
}

const parametersOf = (query: string): ReadonlyMap<string, string> => {
  const parameters = new Map<string, string>()
  for (const pair of query.split("&")) {
    if (pair === "") continue
    const at = pair.indexOf("=")
    const name = decodeURIComponent(at < 0 ? pair : pair.slice(0, at))
    if (at < 0) throw new Wrong(`the parameter "${name}" of its URL has no value`)
    if (!known.includes(name) && !ignored.includes(name)) throw new Wrong(unknown(name))
    parameters.set(name, decodeURIComponent(pair.slice(at + 1)))
  }
  return parameters
}

const known = [
  "application_name",
  "channel_binding",
  "client_encoding",
  "connect_timeout",
  "dbname",
  "fallback_application_name",
  "gssencmode",
  "host",
  "options",
  "passfile",
  "password",
  "port",
  "ssl",
  "sslcert",
  "sslkey",
  "sslmode",
  "sslrootcert",
  "target_session_attrs",
  "user"
]

/** What libpq knows, and nothing depends on here. */
const ignored = [
  "keepalives",
  "keepalives_count",
  "keepalives_idle",
  "keepalives_interval",
  "sslcompression",
  "sslsni",
  "tcp_user_timeout"
]

const unknown = (name: string): string => {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z]/g, "")
  const close = known.find((one) => distance(plain(one), plain(name)) <= 2)
  const instead = close === undefined ? `Known are ${known.join(", ")}` : `Is it "${close}"?`
  return `there is no parameter "${name}" for its URL. ${instead}`
}

const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

const sslModes: ReadonlyArray<SslMode> = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

const sslModeOf = (parameters: ReadonlyMap<string, string>, env: Environment): SslMode => {
  const short = parameters.get("ssl") === "true" ? "require" : undefined
  const text = [parameters.get("sslmode"), short, env["PGSSLMODE"]].find((mode) => mode !== undefined && mode !== "")
  oneOf("sslmode", text ?? "prefer", sslModes)
  return (text ?? "prefer") as SslMode
}

const oneOf = (name: string, value: string, values: ReadonlyArray<string>): void => {
  if (!values.includes(value)) throw new Wrong(`its ${name} is "${value}", and can be ${values.join(", ")}`)
}

const localHost = (port: number): string =>
  ["/var/run/postgresql", "/tmp"].find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? "localhost"

const systemUser = (): string => {
  try {
    return userInfo().username
  } catch {
    throw new Wrong("its URL names no user, and the one of the system has no name. Write postgres://user@host/database")
  }
}
