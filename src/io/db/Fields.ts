/** What the fields of a schema's encoded side are, whatever the database. */
import * as Exit from "effect/Exit"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import { isTooDeep } from "../../concurrency/base/Nesting.ts"
import * as JsonText from "../../concurrency/base/JsonText.ts"
import * as JsonReader from "../text/JsonReader.ts"

/** Each kind has a column type in each database; whatever is none of the others is "json". */
export type Kind = "text" | "integer" | "real" | "boolean" | "bigint" | "bytes" | "instant" | "decimal" | "json"

export interface Field {
  readonly name: string
  readonly kind: Kind
  readonly nullable: boolean
  /** What the field is where its column is NULL. */
  readonly absent: null | undefined
  /** Whether it may be left out, and not only be undefined. */
  readonly optional: boolean
  /** Its values as text: JSON, or the bare string where that is all there ever is, as of a Date. */
  readonly json: JsonForm
}

export interface Fields {
  readonly list: ReadonlyArray<Field>
  /** True when values need no encoding: what a column of each field's kind takes is all that the schema does. */
  readonly plain: boolean
  /** Fields of which that is so as long as they are no number beyond the finite ones. */
  readonly finite: ReadonlyArray<string>
}

export interface JsonForm {
  /** Whether its text is the string itself. */
  readonly bare: boolean
  /** The text of a value, or what is wrong with it; undefined where that is its type. */
  readonly print: (value: unknown) => Result.Result<string, string | undefined>
  /** The field's encoded value from its text, or from what a database made of that; as it is where it is neither. */
  readonly parse: (value: unknown) => unknown
}

/** The fields of a schema, or why it has none. */
export const of = (schema: Schema.Constraint): Result.Result<Fields, string> => {
  const ast = SchemaAST.toEncoded(schema.ast)
  if (!SchemaAST.isObjects(ast) || ast.indexSignatures.length > 0 || ast.propertySignatures.length === 0) {
    return Result.fail("its schema has to encode to an object with named fields, as Schema.Struct does")
  }
  const list: Array<Field> = []
  const finite: Array<string> = []
  let plain = ast === schema.ast && ast.checks === undefined
  for (const { name, type } of ast.propertySignatures) {
    if (typeof name === "symbol") return Result.fail(`a field named by a symbol (${String(name)}) has no column`)
    if (!String(name).isWellFormed())
      return Result.fail(`the name of a field (${JSON.stringify(name)}) ${JsonText.noUtf8}`)
    const { field, isFinite, plain: isPlain } = fieldOf(String(name), type)
    plain &&= isPlain
    if (isFinite) finite.push(field.name)
    list.push(field)
  }
  return Result.succeed({ list, plain, finite })
}

/** The kind of a value, where it is neither null nor undefined. */
export const kindOf = (ast: SchemaAST.AST): Kind => scalarOf(presentOf(ast)).kind

/** The members of a union, or what is none alone, without null and undefined. */
export const presentOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  membersOf(ast).filter((member) => !SchemaAST.isNull(member) && !SchemaAST.isUndefined(member))

/** The value of a field. Its name is the schema's, and may be one that every object has from its prototype. */
export const valueOf = (row: object, name: string): unknown =>
  name in Object.prototype && !Object.hasOwn(row, name) ? undefined : (row as Record<string, unknown>)[name]

const fieldOf = (
  name: string,
  ast: SchemaAST.AST
): { readonly field: Field; readonly plain: boolean; readonly isFinite: boolean } => {
  const members = membersOf(ast)
  const present = presentOf(ast)
  const { isFinite = false, kind, plain } = scalarOf(present)
  return {
    field: {
      name,
      kind,
      nullable: present.length < members.length || SchemaAST.isOptional(ast),
      absent: members.some(SchemaAST.isNull) ? null : undefined,
      optional: SchemaAST.isOptional(ast),
      json: jsonForm(ast)
    },
    isFinite,
    plain: plain && !(SchemaAST.isUnion(ast) && ast.checks !== undefined)
  }
}

/** Of unions in it too, as that of literals is in one with null. */
export const membersOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  SchemaAST.isUnion(ast) ? ast.types.flatMap(membersOf) : [ast]

interface Scalar {
  readonly kind: Kind
  /** Whether every value of the kind is one of the schema's. */
  readonly plain: boolean
  /** Whether only finite numbers are. */
  readonly isFinite?: boolean
}

/** All members of one kind share its column; anything else is kept as JSON. */
const scalarOf = (members: ReadonlyArray<SchemaAST.AST>): Scalar => {
  const [first, ...others] = members.map(memberOf)
  if (first === undefined || others.some((other) => other.kind !== first.kind)) return json
  return { ...first, plain: members.length === 1 && first.plain }
}

const json: Scalar = { kind: "json", plain: false }

const memberOf = (ast: SchemaAST.AST): Scalar => {
  switch (ast._tag) {
    case "String":
      return { kind: "text", plain: ast.checks === undefined }
    case "TemplateLiteral":
      return { kind: "text", plain: false }
    case "Number": {
      const checks = ast.checks ?? []
      if (checks.some(isInt)) return { kind: "integer", plain: checks.length === 1 }
      return checks.length === 1 && isFiniteCheck(checks[0]!)
        ? { kind: "real", plain: true, isFinite: true }
        : { kind: "real", plain: checks.length === 0 }
    }
    case "Boolean":
      return { kind: "boolean", plain: true }
    case "BigInt":
      return { kind: "bigint", plain: ast.checks === undefined }
    case "Literal":
      return { kind: byExample(ast.literal), plain: false }
    case "Enum":
      return ast.enums.every(([, value]) => typeof value === "string") ? { kind: "text", plain: false } : json
    case "Declaration":
      return declared(ast)
    default:
      return json
  }
}

const declared = ({ annotations }: SchemaAST.Declaration): Scalar => {
  const { representation } = annotations ?? {}
  switch (hasProperty(representation, "id") ? representation.id : undefined) {
    case "effect/schema/Uint8Array":
      return { kind: "bytes", plain: true }
    case "effect/schema/Date":
    case "effect/schema/DateTimeUtc":
      return { kind: "instant", plain: false }
    case "effect/schema/BigDecimal":
      return { kind: "decimal", plain: false }
    default:
      return json
  }
}

const isInt = (check: SchemaAST.Check<never>): boolean =>
  check.annotations?.representation?.id === "effect/schema/isInt"

const isFiniteCheck = (check: SchemaAST.Check<never>): boolean =>
  check.annotations?.representation?.id === "effect/schema/isFinite"

const byExample = (value: SchemaAST.LiteralValue): Kind => {
  switch (typeof value) {
    case "string":
      return "text"
    case "boolean":
      return "boolean"
    case "bigint":
      return "bigint"
    default:
      return Number.isInteger(value) ? "integer" : "real"
  }
}

/** Through the schema's own JSON form; made on first use, as most fields have no need of it. */
export const jsonForm = (field: SchemaAST.AST): JsonForm => {
  let made: JsonForm | undefined
  const form = () => (made ??= makeJsonForm(field))
  return {
    get bare() {
      return form().bare
    },
    print: (value) => form().print(value),
    parse: (value) => form().parse(value)
  }
}

const makeJsonForm = (field: SchemaAST.AST): JsonForm => {
  const codec = Schema.toCodecJson(Schema.make<Schema.Codec<unknown>>(field))
  // Twice as fast; where code may not be generated, as under a strict CSP, the schema is interpreted as ever.
  for (const { ast } of [codec, Schema.flip(codec)]) SchemaJITCompiler.enable(ast)
  const encode = Schema.encodeUnknownExit(codec)
  const decode = Schema.decodeUnknownExit(codec)
  const read = JsonReader.make(codec.ast)
  const encoded = SchemaAST.toEncoded(codec.ast)
  const forms = SchemaAST.isUnion(encoded) ? encoded.types : [encoded]
  const bare = forms.every((form) => SchemaAST.isString(form) || SchemaAST.isNull(form))
  return {
    bare,
    print: (value) => {
      const form = encode(value)
      if (Exit.isFailure(form)) return Result.fail(isTooDeep(form.cause) ? JsonText.tooDeep : undefined)
      if (!bare || typeof form.value !== "string") return JsonText.print(form.value)
      return form.value.isWellFormed() ? Result.succeed(form.value) : Result.fail(JsonText.noUtf8)
    },
    parse: (value) => {
      const found = bare || typeof value !== "string" ? value : parsed(read, value)
      const form = decode(found)
      if (Exit.isSuccess(form)) return form.value
      // The schema of the row says what is wrong with it: with an integer that a number would round, where it is.
      return found !== value && JsonReader.rounded(found, []) !== undefined ? found : value
    }
  }
}

const parsed = (read: JsonReader.JsonReader, text: string): unknown => {
  try {
    return read(text)
  } catch {
    return text
  }
}
