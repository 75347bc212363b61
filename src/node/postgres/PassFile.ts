/** Passwords in `~/.pgpass`, a line `host:port:database:user:password` for each, with `*` for all and `\` before `:` and `\`. */
import { readFileSync, statSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"

interface Wanted {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

interface Found {
  readonly password?: string
  /** Why the file was not read. */
  readonly ignored?: string
}

/** The password of the first line that fits. */
export const find = (
  { database, host, port, user }: Wanted,
  path: string | undefined,
  env: Readonly<Record<string, string | undefined>>
): Found => {
  const file = path ?? defaultFile(env)
  let text: string
  try {
    const info = statSync(file)
    if (!info.isFile()) return { ignored: `${file} is no plain file and is ignored` }
    if (process.platform !== "win32" && (info.mode & 0o077) !== 0) {
      return { ignored: `${file} is ignored, as others may read it: chmod 600 ${file}` }
    }
    text = readFileSync(file, "utf8")
  } catch {
    return {}
  }
  const wanted = [host.startsWith("/") && isDefault(host) ? "localhost" : host, String(port), database, user]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue
    const fields = (line.match(/(?:^|:)(?:[^:\\]|\\.)*/g) ?? []).map((field, i) => (i === 0 ? field : field.slice(1)))
    if (fields.length < 5) continue
    const plain = fields.map((field) => field.replaceAll(/\\(.)/g, "$1"))
    if (wanted.every((value, i) => fields[i] === "*" || plain[i] === value)) return { password: plain[4]! }
  }
  return {}
}

const isDefault = (folder: string): boolean => folder === "/tmp" || folder === "/var/run/postgresql"

const defaultFile = (env: Readonly<Record<string, string | undefined>>): string =>
  process.platform === "win32"
    ? join(env["APPDATA"] ?? homedir(), "postgresql", "pgpass.conf")
    : join(env["HOME"] ?? homedir(), ".pgpass")
