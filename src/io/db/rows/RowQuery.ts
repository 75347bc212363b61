/** A query whose rows a source reads, or a table, in pieces that more can be put around. */
import type * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import type { Bound, Parameter } from "../statement/DbParameter.ts"
import type { Dialect } from "../Dialect.ts"
import type { Piece } from "./Reading.ts"

/** SQL with values in it, which are parameters wherever they stand. */
export class RowQuery {
  readonly strings: ReadonlyArray<string>
  readonly parameters: ReadonlyArray<Parameter>
  constructor(strings: ReadonlyArray<string>, parameters: ReadonlyArray<Parameter>) {
    this.strings = strings
    this.parameters = parameters
  }
}

export type Tag = (query: TemplateStringsArray, ...parameters: ReadonlyArray<Parameter>) => RowQuery

/** The name of a table, or a query made with the tag it is given. */
export type From = string | ((sql: Tag) => RowQuery)

const tag: Tag = (strings, ...parameters) => new RowQuery(strings, parameters)

export const of = (from: From): string | RowQuery => (typeof from === "string" ? from : from(tag))

/** For messages: values have no place there. */
export const nameOf = (from: string | RowQuery): string =>
  typeof from === "string" ? `table ${JSON.stringify(from)}` : `query "${textOf(from)}"`

const textOf = ({ strings }: RowQuery): string => strings.join("?").trim().replace(/\s+/g, " ")

/** What it is known by, field by field. Values are known by a checksum, as they may be nobody's to see. */
export const fingerprint = (
  from: string | RowQuery,
  parameters: ReadonlyArray<Bound>
): { readonly [field: string]: string } => {
  if (typeof from === "string") return { table: from }
  if (parameters.length === 0) return { query: textOf(from) }
  const checksum = new Checksum()
  for (const value of parameters) checksum.addText(`${typeof value} ${String(value)}\n`)
  return { query: textOf(from), parameters: checksum.text }
}

/** Why it cannot be read. */
export const whyUnusable = (from: string | RowQuery, dialect: Dialect): string | undefined => {
  if (typeof from === "string") return dialect.whyUnusable(from)
  return hasProperty(from, "strings")
    ? undefined
    : "the query has to be made by the tag it is given, as in (sql) => sql`SELECT …`"
}

/** In parentheses, as a subquery. */
export const subquery = (from: string | RowQuery, parameters: ReadonlyArray<Bound>, dialect: Dialect): Piece => {
  if (typeof from === "string") return { sql: [`(SELECT * FROM ${dialect.quote(from)})`], parameters: [] }
  const { strings } = from
  // What ends it would end the whole, and a comment at its end would go on.
  const sql = strings.map((piece, i) => (i === strings.length - 1 ? piece.replace(/[\s;]+$/, "") : piece))
  return concat(["("], { sql, parameters }, ["\n)"])
}

/** One after the other. What is no piece is SQL without parameters, whose strings are joined. */
export const concat = (...pieces: ReadonlyArray<Piece | ReadonlyArray<string>>): Piece => {
  const sql = [""]
  const parameters: Array<unknown> = []
  for (const piece of pieces) {
    const parts = "sql" in piece ? piece.sql : [piece.join("")]
    sql[sql.length - 1] += parts[0] ?? ""
    sql.push(...parts.slice(1))
    if ("parameters" in piece) parameters.push(...piece.parameters)
  }
  return { sql, parameters }
}

/** The rows of the statement that pieces make up. */
export const statementOf =
  <Row extends object>(client: SqlClient) =>
  (...pieces: ReadonlyArray<Piece | ReadonlyArray<string>>): Effect.Effect<ReadonlyArray<Row>, SqlError> => {
    const { parameters, sql } = concat(...pieces)
    return client<Row>(Object.assign([...sql], { raw: sql }), ...parameters).withoutTransform
  }
