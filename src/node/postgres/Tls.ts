/** `sslmode` as libpq means it: which connections are tried, in order, and what is checked of the server's certificate. */
import { existsSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import type { ConnectionOptions } from "node:tls"
import type { Target } from "./Target.ts"

/** Options of TLS for each connection to be tried, `false` for one without; or why there are none. */
export const attempts = (target: Target): ReadonlyArray<ConnectionOptions | false> | string => {
  // The socket of a server on this machine is read by nobody else.
  if (target.sslMode === "disable" || target.host.startsWith("/")) return [false]
  const tls = optionsOf(target)
  if (typeof tls === "string") return tls
  switch (target.sslMode) {
    case "allow":
      return [false, tls]
    case "prefer":
      return [tls, false]
    default:
      return [tls]
  }
}

const optionsOf = (target: Target): ConnectionOptions | string => {
  const own = (name: string) => join(homedir(), ".postgresql", name)
  const certificate = target.sslCert ?? own("postgresql.crt")
  const key = target.sslKey ?? own("postgresql.key")
  const root = target.sslRootCert ?? own("root.crt")
  try {
    const client = existsSync(certificate) || target.sslCert !== undefined
    return {
      ...(client && { cert: read("sslcert", certificate), key: read("sslkey", key) }),
      ...verification(target, root)
    }
  } catch (error) {
    return error instanceof Unreadable ? error.message : String(error)
  }
}

const verification = (target: Target, root: string): ConnectionOptions => {
  const anyName = { checkServerIdentity: () => undefined }
  if (root === "system") return { rejectUnauthorized: true }
  if (target.sslMode === "verify-full") return { rejectUnauthorized: true, ca: authority(root) }
  if (target.sslMode === "verify-ca") return { rejectUnauthorized: true, ca: authority(root), ...anyName }
  // With a root certificate at hand, "require" checks against it.
  return target.sslMode === "require" && (existsSync(root) || target.sslRootCert !== undefined)
    ? { rejectUnauthorized: true, ca: authority(root), ...anyName }
    : { rejectUnauthorized: false }
}

const authority = (root: string): string => {
  if (existsSync(root)) return read("sslrootcert", root)
  throw new Unreadable(
    `the root certificate ${root} does not exist. Name it with sslrootcert=FILE, or take those of the system with sslrootcert=system`
  )
}

class Unreadable extends Error {}

const read = (parameter: string, file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : ""
    throw new Unreadable(`the file ${file} of ${parameter} cannot be read${code}`)
  }
}
