/**
 * Between the fields of a schema and the cells of a record. Cells are the schema's strings (`Schema.toCodecStringTree`), so that
 * numbers, dates and the like come back as they were. What may be absent, by being left out, undefined or null, is an empty cell; an
 * empty text is then an empty cell in quotes.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { Refusal } from "../Format.ts"
import { type Cell, quotedEmpty } from "./CsvCutter.ts"
import { fixElement } from "./LinesFormat.ts"
import { misfit } from "./Misfit.ts"
import { cellOf, type Kind, kindOf, unusual, valueOf } from "./PlainCells.ts"

interface Column {
  readonly name: string
  /** What an empty cell is. */
  readonly empty: "text" | "undefined" | "missing"
  /** Whether an empty text is one of its values. */
  readonly hasEmptyText: boolean
  /** Whether it may be null, and nothing tells that from being undefined or left out. */
  readonly confusesNull: boolean
  readonly isNumber: boolean
  /** Where it is one of them, besides being null or undefined. */
  readonly kind: Kind | undefined
  /** What stands for a value that is not there. */
  readonly absent: null | undefined
}

type Fields = { readonly [name: string]: unknown }
type Row = { [name: string]: string | undefined }
type Decode<A> = (cells: ReadonlyArray<Cell>) => A | Refusal

export class CsvColumns<A> {
  readonly names: ReadonlyArray<string>
  private readonly columns: ReadonlyArray<Column>
  private readonly fromRow: (row: unknown) => Result.Result<A, SchemaIssue.Issue>
  /** Undefined where the element has the fields itself. */
  private readonly toFields: ((element: A) => Result.Result<Fields, SchemaIssue.Issue>) | undefined
  private readonly toRow: (fields: Fields) => Result.Result<Row, SchemaIssue.Issue>
  /** Where all columns are of some kind: these check only, and throw. */
  private readonly plain:
    | { readonly decode: (fields: Fields) => A; readonly encode: (element: A) => Fields }
    | undefined

  constructor(schema: Schema.Codec<A, unknown>) {
    const encoded = SchemaAST.toEncoded(schema.ast)
    if (
      !SchemaAST.isObjects(encoded) ||
      encoded.indexSignatures.length > 0 ||
      encoded.propertySignatures.length === 0
    ) {
      throw new TypeError("Files.csv: the schema has to encode to an object with named fields, as Schema.Struct does")
    }
    const cells = cellsOf(encoded)
    this.columns = columnsOf(encoded, cells)
    this.names = this.columns.map(({ name }) => name)
    const isPlain = encoded === schema.ast
    const codec: Schema.Codec<A, unknown> = isPlain
      ? (cells as Schema.Codec<A, unknown>)
      : Schema.decodeTo(schema as Schema.Codec<A, object>)(cells)
    // Half as fast again; where code may not be generated, as under a strict CSP, the schema is interpreted as ever.
    for (const { ast } of [codec, schema, Schema.flip(schema), Schema.flip(cells)]) SchemaJITCompiler.enable(ast)
    this.plain =
      isPlain && this.columns.every(({ confusesNull, kind }) => kind !== undefined && !confusesNull)
        ? {
            decode: SchemaParser.decodeUnknownSync(schema),
            encode: SchemaParser.encodeUnknownSync(schema) as (element: A) => Fields
          }
        : undefined
    this.fromRow = SchemaParser.decodeUnknownResult(codec)
    this.toFields = isPlain ? undefined : (SchemaParser.encodeUnknownResult(schema) as CsvColumns<A>["toFields"])
    this.toRow = SchemaParser.encodeUnknownResult(cells) as CsvColumns<A>["toRow"]
  }

  /** How records are decoded in a file with columns of these names, or what is wrong with these. */
  decoder(names: ReadonlyArray<string>): Decode<A> | Refusal {
    const wanted = this.columns.flatMap((column) => {
      const at = names.indexOf(column.name)
      return at < 0 ? [] : [{ ...column, at }]
    })
    const missing = this.columns.filter(({ empty, name }) => empty !== "missing" && !names.includes(name))
    if (missing.length > 0) {
      const all = names.length > 20 ? [...names.slice(0, 20).map(shown), "…"] : names.map(shown)
      return new Refusal(
        `it has no column ${missing.map(({ name }) => shown(name)).join(", ")}; its columns are ${all.join(", ")}`,
        "Look whether the delimiter is right and the file begins with its header, or name the columns in `header`."
      )
    }
    const twice = wanted.find(({ at, name }) => names.includes(name, at + 1))
    if (twice !== undefined) {
      return new Refusal(`it has two columns ${shown(twice.name)}`, "Rename one, or name the columns in `header`.")
    }
    const width = names.length
    const { fromRow, plain } = this
    const atOnce = plain && plainly(wanted, plain.decode)
    return (cells) => {
      if (cells.length !== width) return wrongWidth(cells.length, width)
      const element = atOnce === undefined ? unusual : atOnce(cells)
      if (element !== unusual) return element
      const row: Row = {}
      for (const { at, empty, hasEmptyText, isNumber, name } of wanted) {
        const cell = cells[at]!
        if (cell === "" || cell === quotedEmpty) {
          if (empty === "text" || (cell === quotedEmpty && hasEmptyText)) row[name] = ""
          else if (empty === "undefined") row[name] = undefined
        } else if (isNumber && cell.length > 15 && losesDigits(cell)) {
          return new Refusal(`${cell} has more digits than a number can hold`, "Use Schema.BigInt for it.", name)
        } else row[name] = cell
      }
      const result = fromRow(row)
      return Result.isSuccess(result) ? result.success : misfit(result.failure, fixRecord)
    }
  }

  /** The cells of an element in a file with columns of these names, which must be right for `decoder`. */
  encoder(names: ReadonlyArray<string>): (element: A) => ReadonlyArray<Cell> | Refusal {
    const { columns, plain, toFields, toRow } = this
    const width = names.length
    const placed = columns.map((column) => ({ ...column, at: names.indexOf(column.name) }))
    const atOnce = plain && plainCells(placed, width, plain.encode)
    return (element) => {
      const found = atOnce === undefined ? unusual : atOnce(element)
      if (found !== unusual) return found
      const encoded = toFields?.(element)
      if (encoded !== undefined && Result.isFailure(encoded)) return misfit(encoded.failure, fixElement)
      const fields = encoded === undefined ? (element as Fields) : encoded.success
      const row = toRow(fields)
      if (Result.isFailure(row)) return misfit(row.failure, fixElement)
      const cells = Array.from<Cell>({ length: width }).fill("")
      for (const { at, confusesNull, empty, name } of placed) {
        const text = Object.hasOwn(row.success, name) ? row.success[name] : undefined
        if (text === undefined) {
          if (confusesNull && fields[name] === null) return nullConfused(name)
        } else if (at < 0) return noColumn(name)
        else cells[at] = text === "" && empty !== "text" ? quotedEmpty : text
      }
      return cells
    }
  }

  /** Whether a line with nothing in it is a record: the empty cell of the only column. */
  takesBlanks(names: ReadonlyArray<string>): boolean {
    const [only] = this.columns.filter(({ name }) => names.includes(name))
    return names.length === 1 && (only === undefined || only.empty !== "text" || only.hasEmptyText)
  }
}

interface Placed extends Column {
  /** Less than 0 where the file has no such column. */
  readonly at: number
}

/** An element of cells that are as most are; what is wrong with others is for those to say who take any. */
const plainly =
  <A>(wanted: ReadonlyArray<Placed>, decode: (fields: Fields) => A) =>
  (cells: ReadonlyArray<Cell>): A | typeof unusual => {
    const fields: { [name: string]: unknown } = {}
    for (const { absent, at, empty, hasEmptyText, kind, name } of wanted) {
      const cell = cells[at]!
      if (cell === "" || cell === quotedEmpty) {
        if (empty === "text" || (cell === quotedEmpty && hasEmptyText)) fields[name] = ""
        else if (empty === "undefined") fields[name] = absent
      } else {
        const value = valueOf(kind!, cell)
        if (value === unusual) return unusual
        fields[name] = value
      }
    }
    try {
      return decode(fields)
    } catch {
      return unusual
    }
  }

const plainCells =
  <A>(placed: ReadonlyArray<Placed>, width: number, encode: (element: A) => Fields) =>
  (element: A): ReadonlyArray<Cell> | typeof unusual => {
    let fields: Fields
    try {
      fields = encode(element)
    } catch {
      return unusual
    }
    const cells: Array<Cell> = Array.from<Cell>({ length: width }).fill("")
    for (const { at, empty, name } of placed) {
      const value = Object.hasOwn(fields, name) ? fields[name] : undefined
      if (value === undefined || value === null) continue
      const cell = at < 0 ? unusual : cellOf(value)
      if (cell === unusual) return unusual
      cells[at] = cell === "" && empty !== "text" ? quotedEmpty : cell
    }
    return cells
  }

/** The strings of a row, with what is null left out of it. */
const cellsOf = (encoded: SchemaAST.Objects): Schema.Codec<object, unknown> => {
  const { annotations, checks, propertySignatures } = encoded
  const fields = propertySignatures.map(({ name, type }) => new SchemaAST.PropertySignature(name, nullAsAbsent(type)))
  return Schema.toCodecStringTree(
    Schema.make<Schema.Codec<object>>(new SchemaAST.Objects(fields, [], annotations, checks))
  )
}

/** The schema's own string for null would be that of the text `null` as well. */
const nullAsAbsent = (ast: SchemaAST.AST): SchemaAST.AST => {
  if (SchemaAST.isNull(ast)) {
    const link = new SchemaAST.Link(
      SchemaAST.undefined,
      new SchemaTransformation.Transformation(
        SchemaGetter.transform(() => null),
        SchemaGetter.transform(() => undefined)
      )
    )
    return new SchemaAST.Null(ast.annotations, ast.checks, [link], ast.context)
  }
  if (!SchemaAST.isUnion(ast)) return ast
  const { annotations, checks, context, options, types } = ast
  return new SchemaAST.Union(types.map(nullAsAbsent), options, annotations, checks, undefined, context)
}

const columnsOf = (encoded: SchemaAST.Objects, cells: Schema.Codec<object, unknown>): ReadonlyArray<Column> => {
  const texts = (cells.ast as SchemaAST.Objects).propertySignatures
  return encoded.propertySignatures.map(({ name, type }, index) => {
    if (typeof name === "symbol" || name === "__proto__" || !String(name).isWellFormed()) {
      throw new TypeError(`Files.csv: a column cannot have the name ${shown(String(name))}`)
    }
    const text = texts[index]!.type
    if (!isText(SchemaAST.toEncoded(text))) {
      throw new TypeError(
        `Files.csv: the field ${shown(String(name))} is more than one cell can hold: give it as JSON, as with ` +
          "Schema.fromJsonString, or as another text"
      )
    }
    const members = membersOf(type)
    const present = members.filter((member) => !SchemaAST.isNull(member) && !SchemaAST.isUndefined(member))
    const isOptional = SchemaAST.isOptional(type)
    const mayBeUndefined = members.some(SchemaAST.isUndefined)
    const mayBeNull = members.some(SchemaAST.isNull)
    return {
      name: String(name),
      empty: isOptional ? "missing" : mayBeUndefined || mayBeNull ? "undefined" : "text",
      hasEmptyText: Result.isSuccess(SchemaParser.decodeUnknownResult(Schema.make<Schema.Codec<unknown>>(text))("")),
      confusesNull: mayBeNull && (isOptional || mayBeUndefined),
      isNumber: members.some(SchemaAST.isNumber),
      kind: present.length === 1 ? kindOf(present[0]!) : undefined,
      absent: mayBeNull ? null : undefined
    }
  })
}

const membersOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  SchemaAST.isUnion(ast) ? ast.types.flatMap(membersOf) : [ast]

const isText = (ast: SchemaAST.AST): boolean =>
  membersOf(ast).every(
    (member) =>
      SchemaAST.isString(member) ||
      SchemaAST.isTemplateLiteral(member) ||
      SchemaAST.isUndefined(member) ||
      (SchemaAST.isLiteral(member) && typeof member.literal === "string") ||
      (SchemaAST.isEnum(member) && member.enums.every(([, value]) => typeof value === "string"))
  )

/** As whole numbers beyond 2^53 do, but not those that are what a number is printed as. */
const losesDigits = (cell: string): boolean => {
  if (!/^[+-]?\d+$/.test(cell)) return false
  const number = Number(cell)
  return !Number.isFinite(number) || (String(number) !== cell && BigInt(cell) !== BigInt(number))
}

const fixRecord =
  "Correct the record or the schema, or take all fields as Schema.String and parse them in a step, which may skip bad ones."

const shown = (name: string): string => JSON.stringify(name)

const wrongWidth = (found: number, width: number): Refusal =>
  new Refusal(
    `its record has ${found} ${found === 1 ? "field" : "fields"} where there are ${width} columns`,
    "Correct it: a field with a delimiter in it has to be in quotes."
  )

const nullConfused = (name: string): Refusal =>
  new Refusal("it is null, which would be read as left out or undefined", "Let its schema have only one of them.", name)

const noColumn = (name: string): Refusal =>
  new Refusal("the file has no column for it", "Add its name to `header`.", name)
