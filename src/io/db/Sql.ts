/** SQL that is the same in all databases. */
import type { Column, Shape } from "./Dialect.ts"

/** A name as SQL has it. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const list = (names: ReadonlyArray<string>): string => names.map(quote).join(", ")

export const createTable = ({ columns, key, table }: Shape): string => {
  const lines = columns.map((column) => `${quote(column.name)} ${column.type}${column.nullable ? "" : " NOT NULL"}`)
  if (key.length > 0) lines.push(`PRIMARY KEY (${list(key)})`)
  return `CREATE TABLE ${quote(table)} (${lines.join(", ")})`
}

export const addColumn = (table: string, { name, type }: Column): string =>
  `ALTER TABLE ${quote(table)} ADD COLUMN ${quote(name)} ${type}`

/** Why no table can have this name, some of which are taken. */
export const whyUnusable = (name: string, taken: string): string | undefined => {
  if (!/^[^\p{Cc}\p{Cs}]+$/u.test(name)) return "the name of a table is one or more printable characters"
  return [taken, "skein_"].some((start) => name.toLowerCase().startsWith(start))
    ? `names that begin with ${taken} and skein_ are taken. Choose another`
    : undefined
}

export const notUnique = (key: ReadonlyArray<string>): string =>
  `${list(key)} is not unique in it, so rows cannot be known by it. Add a unique index, or leave out \`key\``
