/** What went wrong at a server, as the `SqlError` of Effect: its kind, and words for people. */
import {
  AuthenticationError,
  AuthorizationError,
  ConnectionError,
  ConstraintError,
  DeadlockError,
  LockTimeoutError,
  SerializationError,
  SqlError,
  type SqlErrorReason,
  SqlSyntaxError,
  StatementTimeoutError,
  UniqueViolation,
  UnknownError
} from "effect/sql/SqlError"

/** What PostgreSQL says of an error, without the values of rows but keys. */
export class ServerError extends Error {
  override readonly name = "ServerError"
  /** Five letters and digits, as in the appendix of PostgreSQL's manual; of a socket, that of Node. */
  readonly code: string
  readonly severity: string | undefined
  readonly schema: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined
  readonly constraint: string | undefined
  /** Of a key that is there already, or that is missing. */
  readonly detail: string | undefined
  readonly hint: string | undefined
  /** In which line of a COPY. */
  readonly where: string | undefined
  readonly position: string | undefined
  /** The function of the server that raised it. */
  readonly routine: string | undefined

  constructor(error: Error, message?: string) {
    const said = (name: string): string | undefined => {
      const value: unknown = Reflect.get(error, name)
      return typeof value === "string" && value !== "" ? value : undefined
    }
    const code = said("code") ?? ""
    super(message ?? withoutValues(code, error.message))
    this.code = code
    this.severity = said("severity")
    this.schema = said("schema")
    this.table = said("table")
    this.column = said("column")
    this.constraint = said("constraint")
    this.detail = code === "23505" || code === "23503" ? said("detail") : undefined
    this.hint = said("hint")
    // Below what a trigger was at, and in the server's own language.
    this.where = said("where")
      ?.split("\n")
      .findLast((line) => line.startsWith("COPY "))
      ?.replace(/: ".*$/s, "")
    this.routine = said("routine")
    this.position = said("position")
  }
}

/** Errors about data name what they could not read. */
const withoutValues = (code: string, message: string): string =>
  code.startsWith("22")
    ? message.replace(/: ".*"$/s, "").replaceAll(/"(?:[^"]|"")*"(?= is out of range)/gs, "a value")
    : message

/** What the server calls it; "" for what is not its. */
export const codeOf = ({ reason: { cause } }: SqlError): string => (cause instanceof ServerError ? cause.code : "")

/** The session is gone: the server has said so, or the socket is closed. */
export const isLost = (error: Error): boolean => {
  if (Reflect.get(error, "severity") === "FATAL" || Reflect.get(error, "severity") === "PANIC") return true
  const code: unknown = Reflect.get(error, "code")
  if (typeof code === "string") return /^(?:08|57P0|25P0[34]|E[A-Z]|ERR_)/.test(code)
  return /terminated|not queryable|was closed|socket|timeout/i.test(error.message)
}

export const toSqlError = (error: Error, operation: string, message?: string): SqlError =>
  new SqlError({
    reason: reasonOf(error instanceof ServerError ? error : new ServerError(error, message), error, operation)
  })

const reasonOf = (cause: ServerError, original: Error, operation: string): SqlErrorReason => {
  const { code } = cause
  const fields = { cause, message: explain(cause), operation }
  if (code === "23505") return new UniqueViolation({ ...fields, constraint: cause.constraint ?? "unknown" })
  if (code.startsWith("23")) return new ConstraintError(fields)
  if (code === "40001") return new SerializationError(fields)
  if (code === "40P01") return new DeadlockError(fields)
  if (code === "55P03") return new LockTimeoutError(fields)
  if (code === "57014") return new StatementTimeoutError(fields)
  if (code.startsWith("28")) return new AuthenticationError(fields)
  if (code === "42501") return new AuthorizationError(fields)
  if (code.startsWith("42")) return new SqlSyntaxError(fields)
  return isLost(original) || code === "53300" ? new ConnectionError(fields) : new UnknownError(fields)
}

const explain = ({ code, message, detail }: ServerError): string => {
  switch (code) {
    case "23505":
    case "23503":
      return detail === undefined ? message : `${message}: ${detail}`
    case "53100":
      return `${message}. The disk of the server is full: make room, and run again`
    case "42501":
      return `${message}. Ask the owner for a GRANT, or connect as another role`
    case "26000":
    case "42P05":
      return (
        `${message}. A pooler seems to stand before the server that gives each transaction another session: let it give one to ` +
        "each client, or follow prepared statements (PgBouncer 1.21 or later: max_prepared_statements)"
      )
    case "25006":
      return `${message}. This server is a replica or read-only: connect to the primary`
    default:
      return message
  }
}
