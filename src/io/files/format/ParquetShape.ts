/** The columns that a schema has in Parquet: what each value is, however deep in lists and structs. */
import type { SchemaElement } from "hyparquet-writer"
import * as SchemaAST from "effect/SchemaAST"
import type * as Schema from "effect/Schema"
import * as Fields from "../../db/Fields.ts"

export type Shape = Leaf | List | Struct

interface Common {
  readonly ast: SchemaAST.AST
  readonly nullable: boolean
  /** What stands for a value that is not there. */
  readonly absent: null | undefined
  readonly optional: boolean
}

export interface Leaf extends Common {
  readonly kind: Fields.Kind
  readonly json: Fields.JsonForm
  /** Of an instant: whether it is a DateTime, and no Date. */
  readonly isDateTime: boolean
}

export interface List extends Common {
  readonly kind: "list"
  readonly item: Shape
}

export interface Struct extends Common {
  readonly kind: "struct"
  readonly fields: ReadonlyArray<readonly [name: string, shape: Shape]>
}

/** Of a schema that encodes to an object with named fields. */
export const of = (schema: Schema.Constraint): Struct => {
  const shape = shapeOf(SchemaAST.toEncoded(schema.ast))
  if (shape.kind !== "struct" || shape.nullable) {
    throw new TypeError("Files.parquet: the schema has to encode to an object with named fields, as Schema.Struct does")
  }
  return shape
}

const shapeOf = (ast: SchemaAST.AST): Shape => {
  const members = Fields.membersOf(ast)
  const [only, ...others] = Fields.presentOf(ast)
  const common: Common = {
    ast,
    nullable: members.length > others.length + (only === undefined ? 0 : 1) || SchemaAST.isOptional(ast),
    absent: members.some(SchemaAST.isNull) ? null : undefined,
    optional: SchemaAST.isOptional(ast)
  }
  if (only !== undefined && others.length === 0) {
    if (SchemaAST.isArrays(only) && only.elements.length === 0 && only.rest.length === 1) {
      return { ...common, kind: "list", item: shapeOf(only.rest[0]!) }
    }
    if (isStruct(only)) {
      const fields = only.propertySignatures.map(({ name, type }) => [String(name), shapeOf(type)] as const)
      return { ...common, kind: "struct", fields }
    }
  }
  const isDateTime = only !== undefined && SchemaAST.isDeclaration(only) && idOf(only) === "effect/schema/DateTimeUtc"
  return { ...common, kind: Fields.kindOf(ast), json: Fields.jsonForm(ast), isDateTime }
}

const isStruct = (ast: SchemaAST.AST): ast is SchemaAST.Objects =>
  SchemaAST.isObjects(ast) &&
  ast.indexSignatures.length === 0 &&
  ast.propertySignatures.length > 0 &&
  ast.propertySignatures.every(({ name }) => typeof name === "string" && name !== "__proto__" && name.isWellFormed())

const idOf = ({ annotations }: SchemaAST.Declaration): unknown =>
  (annotations?.["representation"] as { readonly id?: unknown } | undefined)?.id

/** As a writer describes it, the root first. */
export const elementsOf = ({ fields }: Struct): Array<SchemaElement> => [
  { name: "root", num_children: fields.length },
  ...fields.flatMap(([name, shape]) => elementOf(name, shape))
]

const elementOf = (name: string, shape: Shape): ReadonlyArray<SchemaElement> => {
  const common = { name, repetition_type: shape.nullable ? ("OPTIONAL" as const) : ("REQUIRED" as const) }
  switch (shape.kind) {
    case "list":
      return [
        { ...common, converted_type: "LIST", logical_type: { type: "LIST" }, num_children: 1 },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        ...elementOf("element", shape.item)
      ]
    case "struct":
      return [
        { ...common, num_children: shape.fields.length },
        ...shape.fields.flatMap(([field, inner]) => elementOf(field, inner))
      ]
    // Parquet has a precision and a scale for a whole column, which a decimal of any size has not.
    case "decimal":
    case "text":
      return [{ ...common, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }]
    case "json":
      return [{ ...common, type: "BYTE_ARRAY", converted_type: "JSON", logical_type: { type: "JSON" } }]
    case "bytes":
      return [{ ...common, type: "BYTE_ARRAY" }]
    case "integer":
    case "bigint":
      return [{ ...common, type: "INT64" }]
    case "real":
      return [{ ...common, type: "DOUBLE" }]
    case "boolean":
      return [{ ...common, type: "BOOLEAN" }]
    case "instant": {
      const logical_type = { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" } as const
      return [{ ...common, type: "INT64", converted_type: "TIMESTAMP_MILLIS", logical_type }]
    }
  }
}
