/**
 * Cells of fields that are a text, a number or a boolean. Their schemas' own strings are made and read by transformations, which are
 * interpreted; here the values are made at once, and the compiled schema checks them: a sixth of reading CSV. A cell that is written
 * in another way than most is left to those transformations.
 */
import * as SchemaAST from "effect/SchemaAST"

export type Kind = "text" | "number" | "boolean"

/** Of the only member of a field that is neither null nor undefined. */
export const kindOf = (member: SchemaAST.AST): Kind | undefined => {
  if (member.encoding !== undefined) return undefined
  if (SchemaAST.isString(member)) return "text"
  if (SchemaAST.isNumber(member)) return "number"
  return SchemaAST.isBoolean(member) ? "boolean" : undefined
}

/** Stands for a value that is to be found in another way. */
export const unusual: unique symbol = Symbol("unusual")

export const valueOf = (kind: Kind, cell: string): unknown => {
  if (kind === "text") return cell
  if (kind === "number") return number.test(cell) ? Number(cell) : unusual
  return cell === "true" ? true : cell === "false" ? false : unusual
}

/** With no more digits than a number holds. */
const number = /^-?\d{1,15}(?:\.\d+)?$/

/** Of a value that fits the field. */
export const cellOf = (value: unknown): string | typeof unusual =>
  typeof value === "number" && !Number.isFinite(value) ? unusual : String(value)
