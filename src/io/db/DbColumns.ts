/** How the fields of a schema's encoded side become columns of a table, and back. */
import * as Exit from "effect/Exit"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { isTooDeep } from "../../concurrency/base/Nesting.ts"
import * as JsonText from "../../concurrency/base/JsonText.ts"

export type ColumnType = "INTEGER" | "REAL" | "TEXT" | "BLOB"

/** What a column holds. */
export type Value = string | number | bigint | Uint8Array | null

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** What a value has to be, for messages. */
  readonly expected: string
  /** The field's encoded value as the column holds it; undefined when it cannot hold it. */
  readonly toColumn: (value: unknown) => Value | undefined
  /** What is wrong with a value that is of the right type, and that the column cannot hold all the same. */
  readonly flaw?: ((value: unknown) => string | undefined) | undefined
  /** The field's encoded value from what the column holds; undefined leaves the field out. */
  readonly fromColumn: (value: unknown) => unknown
}

export interface Columns {
  readonly list: ReadonlyArray<Column>
  /** True when values need no encoding: `toColumn` checks all that the schema would. */
  readonly plain: boolean
  /** True when a field is a bigint, so that integers have to be read as such. */
  readonly exact: boolean
}

/** The columns of a schema, or why it has none. */
export const make = (schema: Schema.Constraint): Result.Result<Columns, string> => {
  const ast = SchemaAST.toEncoded(schema.ast)
  if (!SchemaAST.isObjects(ast) || ast.indexSignatures.length > 0 || ast.propertySignatures.length === 0) {
    return Result.fail("its schema has to encode to an object with named fields, as Schema.Struct does")
  }
  const list: Array<Column> = []
  let plain = ast === schema.ast && ast.checks === undefined
  for (const { name, type } of ast.propertySignatures) {
    if (typeof name === "symbol") return Result.fail(`a field named by a symbol (${String(name)}) has no column`)
    if (!String(name).isWellFormed())
      return Result.fail(`the name of a field (${JSON.stringify(name)}) ${JsonText.noUtf8}`)
    const field = columnOf(String(name), type)
    plain &&= field.plain
    list.push(field.column)
  }
  return Result.succeed({ list, plain, exact: list.some((column) => column.expected === bigint.expected) })
}

/** The field of a row. Its name is the schema's, and may be one that every object has from its prototype. */
export const fieldOf = (row: object, name: string): unknown =>
  name in Object.prototype && !Object.hasOwn(row, name) ? undefined : (row as Record<string, unknown>)[name]

/** Why a column does not hold this value, in words that follow the name of the field. */
export const refusal = ({ expected, flaw, nullable }: Column, value: unknown): string =>
  flaw?.(value) ?? `has to be ${expected}${nullable ? " or absent" : ""}`

interface Kind {
  readonly type: ColumnType
  readonly expected: string
  readonly plain: boolean
  readonly toColumn: (value: unknown) => Value | undefined
  readonly flaw?: (value: unknown) => string | undefined
  readonly fromColumn: (value: unknown) => unknown
}

const columnOf = (name: string, ast: SchemaAST.AST): { readonly column: Column; readonly plain: boolean } => {
  const members = SchemaAST.isUnion(ast) ? ast.types : [ast]
  const present = members.filter((member) => !SchemaAST.isNull(member) && !SchemaAST.isUndefined(member))
  const { plain, toColumn, fromColumn, ...kind } = kindOf(present, ast)
  const nullable = present.length < members.length || SchemaAST.isOptional(ast)
  const absent = members.some(SchemaAST.isNull) ? null : undefined
  const column: Column = {
    ...kind,
    name,
    nullable,
    toColumn: nullable ? (value) => (value === null || value === undefined ? null : toColumn(value)) : toColumn,
    fromColumn: (value) => (value === null ? (nullable ? absent : null) : fromColumn(value))
  }
  return { column, plain: plain && !(SchemaAST.isUnion(ast) && ast.checks !== undefined) }
}

/** All members of one kind share its column; anything else is kept as JSON. */
const kindOf = (members: ReadonlyArray<SchemaAST.AST>, field: SchemaAST.AST): Kind => {
  const [first, ...others] = members.map(scalarOf)
  if (first === undefined || others.some((other) => other?.expected !== first.expected)) return json(field)
  return { ...first, plain: members.length === 1 && first.plain }
}

const scalarOf = (ast: SchemaAST.AST): Kind | undefined => {
  switch (ast._tag) {
    case "String":
      return { ...text, plain: ast.checks === undefined }
    case "TemplateLiteral":
      return text
    case "Number": {
      const checks = ast.checks ?? []
      return checks.some(isInt) ? { ...integer, plain: checks.length === 1 } : { ...real, plain: checks.length === 0 }
    }
    case "Boolean":
      return { ...boolean, plain: true }
    case "BigInt":
      return { ...bigint, plain: ast.checks === undefined }
    case "Literal":
      return byExample(ast.literal)
    case "Enum":
      return ast.enums.every(([, value]) => typeof value === "string") ? text : undefined
    case "Declaration":
      return isBytes(ast) ? blob : undefined
    default:
      return undefined
  }
}

const isBytes = ({ annotations }: SchemaAST.Declaration): boolean => {
  const { representation } = annotations ?? {}
  return hasProperty(representation, "id") && representation.id === "effect/schema/Uint8Array"
}

const isInt = (check: SchemaAST.Check<never>): boolean =>
  check.annotations?.representation?.id === "effect/schema/isInt"

const byExample = (value: SchemaAST.LiteralValue): Kind => {
  switch (typeof value) {
    case "string":
      return text
    case "boolean":
      return boolean
    case "bigint":
      return bigint
    default:
      return Number.isInteger(value) ? integer : real
  }
}

const same = (value: unknown): unknown => value

/** Integers come as bigint from a connection that was told to be exact. */
const fromNumber = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value)

const text: Kind = {
  type: "TEXT",
  expected: "a string",
  plain: false,
  toColumn: (value) => (typeof value === "string" && value.isWellFormed() ? value : undefined),
  flaw: (value) => (typeof value === "string" ? JsonText.noUtf8 : undefined),
  fromColumn: same
}

const integer: Kind = {
  type: "INTEGER",
  expected: "an integer",
  plain: false,
  toColumn: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
  fromColumn: fromNumber
}

/** SQLite keeps NaN as NULL, which nobody would see: it is refused. */
const real: Kind = {
  type: "REAL",
  expected: "a number",
  plain: false,
  toColumn: (value) => (typeof value === "number" && !Number.isNaN(value) ? value : undefined),
  fromColumn: fromNumber
}

const boolean: Kind = {
  type: "INTEGER",
  expected: "a boolean",
  plain: false,
  toColumn: (value) => (typeof value === "boolean" ? Number(value) : undefined),
  fromColumn: (value) => {
    const bit = fromNumber(value)
    return bit === 0 || bit === 1 ? bit === 1 : bit
  }
}

const bigint: Kind = {
  type: "INTEGER",
  expected: "a bigint of 64 bits",
  plain: false,
  toColumn: (value) => (typeof value === "bigint" && BigInt.asIntN(64, value) === value ? value : undefined),
  fromColumn: (value) => (typeof value === "number" ? BigInt(value) : value)
}

const blob: Kind = {
  type: "BLOB",
  expected: "a Uint8Array",
  plain: true,
  toColumn: (value) => (value instanceof Uint8Array ? value : undefined),
  fromColumn: same
}

/** Through the schema's own JSON form, as text; what has a string there, as a Date has, is kept without its quotes. */
const json = (field: SchemaAST.AST): Kind => {
  const codec = Schema.toCodecJson(Schema.make<Schema.Codec<unknown>>(field))
  const encode = Schema.encodeUnknownExit(codec)
  const decode = Schema.decodeUnknownExit(codec)
  const encoded = SchemaAST.toEncoded(codec.ast)
  const forms = SchemaAST.isUnion(encoded) ? encoded.types : [encoded]
  const bare = forms.every((form) => SchemaAST.isString(form) || SchemaAST.isNull(form))
  /** The text of a value, or what is wrong with it; undefined where that is its type. */
  const print = (value: unknown): Result.Result<string, string | undefined> => {
    const form = encode(value)
    if (Exit.isFailure(form)) return Result.fail(isTooDeep(form.cause) ? JsonText.tooDeep : undefined)
    if (!bare || typeof form.value !== "string") return JsonText.print(form.value)
    return form.value.isWellFormed() ? Result.succeed(form.value) : Result.fail(JsonText.noUtf8)
  }
  return {
    type: "TEXT",
    expected: "a value with a JSON form",
    plain: false,
    toColumn: (value) => Result.getOrUndefined(print(value)),
    flaw: (value) => Result.getOrUndefined(Result.flip(print(value))),
    fromColumn: (value) => {
      if (typeof value !== "string") return value
      const form = decode(bare ? value : parse(value))
      // The schema of the row says what is wrong with it.
      return Exit.isSuccess(form) ? form.value : value
    }
  }
}

const parse = (value: string): unknown => {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}
