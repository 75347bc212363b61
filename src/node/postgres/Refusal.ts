/** Why there is no session in a server, in words that say what to do, and whether that may pass. */
import { AuthenticationError, ConnectionError, SqlError } from "effect/sql/SqlError"
import { ServerError } from "./Failure.ts"
import type { Target } from "./Target.ts"

/** The oldest that is known to work: the first that tells what became of a transaction is 13. */
const oldest = 13

export const noPassword = "the server asks for a password, and none is given"
export const noBinding = "the server offers no channel binding, which channel_binding=require asks for"

export const toSqlError = (error: Error, target: Target, encrypted: boolean): SqlError => {
  const cause = new ServerError(error, error.message)
  const fields = { cause, message: explain(cause, target, encrypted), operation: "connect" }
  const isAuthentication = cause.code.startsWith("28") || error.message === noPassword
  return new SqlError({ reason: isAuthentication ? new AuthenticationError(fields) : new ConnectionError(fields) })
}

const explain = ({ code, message }: ServerError, target: Target, encrypted: boolean): string => {
  const { database, host, port, user } = target
  const place = host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`
  switch (code) {
    case "28P01":
      return target.password === undefined
        ? askForPassword(target)
        : `the password for user "${user}" is wrong, or there is no such user. Check it in the URL, PGPASSWORD or ~/.pgpass`
    case "28000":
      return /no encryption|SSL off/.test(message)
        ? `the server takes no connections without TLS from here (${message}). Add sslmode=require to the URL`
        : `the server lets user "${user}" not in: ${message}. Check the user, or pg_hba.conf in the server`
    case "3D000":
      return `there is no database "${database}" in this server. Create it (createdb ${database}), or check the URL`
    case "42501":
      return `user "${user}" may not connect to the database "${database}". Ask for GRANT CONNECT`
    case "53300":
      return `the server has too many connections (${message}). Close some, lower maxConnections, or raise its max_connections`
    case "57P03":
      return `the server is starting up, shutting down or recovering (${message}). Try again later`
    case "ECONNREFUSED":
      return `no server listens at ${place}. Is it running? Check host and port`
    case "ENOENT":
    case "EACCES":
      return `there is no socket ${place} that can be opened (${code}). Is the server running on this machine?`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the host "${host}" is not known (${code}). Check its name`
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `the server at ${place} does not answer (${code}: ${message}). Check host and port, and firewalls between`
    case "22023":
    case "42704":
      return `the server knows no such setting: ${message}. Check options in the URL or PGOPTIONS`
  }
  if (message === noPassword) return askForPassword(target)
  if (message.includes("unsupported startup parameter")) {
    return `a pooler stands before the server (${message}). Let it ignore "options", or go to the server itself`
  }
  if (message.includes("does not support SSL")) {
    return `the server speaks no TLS, which sslmode=${target.sslMode} asks for. Turn it on in the server, or use sslmode=prefer`
  }
  if (encrypted && isOfCertificate(code)) {
    return `the certificate of the server is not accepted (${code}: ${message}). Check sslrootcert and the host name in the URL`
  }
  return /terminated unexpectedly/.test(message)
    ? `what answers at ${place} closed the connection and may be no PostgreSQL. Check host and port`
    : message
}

const askForPassword = ({ passwordMissing, user }: Target): string =>
  `the server asks for the password of user "${user}", and none is given. Set PGPASSWORD, or put it into ~/.pgpass${
    passwordMissing === "" ? "" : ` (${passwordMissing})`
  }`

const isOfCertificate = (code: string): boolean =>
  /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/.test(code)

/** Whether to try again without TLS where it was with it, and the other way round. */
export const isOfEncryption = (error: SqlError): boolean => {
  const { cause } = error.reason
  if (!(cause instanceof ServerError)) return false
  return cause.code === "28000" || /SSL connection/.test(cause.message) || isOfCertificate(cause.code)
}

/** Whether the same may succeed a little later. A server that has never been there is not waited for, unless it says that it comes. */
export const mayPass = (error: SqlError, wasThere: boolean): boolean => {
  const { cause } = error.reason
  if (!(cause instanceof ServerError)) return false
  if (/^(?:57P0|53300)/.test(cause.code)) return true
  const isNetwork = /^(?:E[A-Z_]+|08)/.test(cause.code) || /terminated/.test(cause.message)
  return wasThere && isNetwork && !isOfCertificate(cause.code)
}

export const ofServer = (
  target: Target,
  { standby, version }: { readonly version: number; readonly standby: boolean }
): SqlError | undefined => {
  const reason =
    version < oldest * 10_000
      ? `it is PostgreSQL ${shown(version)}, and ${oldest} or later is needed`
      : target.writable && standby
        ? "this server takes no writes, which target_session_attrs asks for. Connect to the primary"
        : undefined
  return reason === undefined
    ? undefined
    : new SqlError({ reason: new ConnectionError({ cause: new Error(reason), message: reason, operation: "connect" }) })
}

const shown = (version: number): string =>
  version < 100_000
    ? `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}`
    : `${Math.floor(version / 10_000)}`
