/** What PostgreSQL's types are called, and what of them matters to a value. */

/** How values of a type are written and read. */
export type Form =
  | "bool"
  | "bytea"
  | "date"
  | "float4"
  | "float8"
  | "int2"
  | "int4"
  | "int8"
  | "json"
  | "jsonb"
  | "numeric"
  | "text"
  | "timestamp"
  | "timestamptz"
  | "uuid"
  /** Only as text, which PostgreSQL makes a value of. */
  | "other"

export interface Type {
  readonly form: Form
  /** Its name in SQL, without lengths: a cast to those would cut values off. */
  readonly cast: string
  /** Whether it has a length, a precision or a scale. */
  readonly sized: boolean
  /** Of texts: how many characters there may be. */
  readonly length?: number | undefined
  /** Of enums: what there is. */
  readonly labels?: ReadonlySet<string> | undefined
  /** Of arrays: what they are of. */
  readonly element?: Type | undefined
}

/** Types by name that are no part of PostgreSQL. */
export type Known = ReadonlyMap<string, Type>

/** What an array that values travel in is of: the type itself, or text. */
export const wireOf = ({ element, form }: Type): string => (element !== undefined || form === "other" ? "text" : form)

/** The number that PostgreSQL knows a type by, of those that every database has. */
export const oidOf = ({ cast }: Type): number | undefined => (Object.hasOwn(oids, cast) ? oids[cast] : undefined)

/** The type of a name; undefined where no type can be called so. */
export const of = (declared: string, known: Known = new Map()): Type | undefined => {
  const own = known.get(declared)
  if (own !== undefined) return own
  const [matched, head = "", sizes, tail = "", brackets = ""] = declaration.exec(declared.trim()) ?? []
  if (matched === undefined) return undefined
  if (brackets !== "") {
    const element = of(declared.trim().slice(0, -brackets.length), known)
    return element === undefined || element.element !== undefined ? undefined : arrayOf(element)
  }
  const sized = sizes !== undefined
  const bare = known.get(head + tail)
  if (bare !== undefined) return { ...bare, sized }
  const name = (head + tail).toLowerCase()
  const [form, cast] = names.get(name) ?? (["other", head + tail] as const)
  const length = form === "text" ? lengthOf(name, sizes) : undefined
  return { form, cast, sized, length }
}

const arrayOf = (element: Type): Type => ({
  form: "other",
  cast: `${element.cast}[]`,
  sized: element.sized,
  element
})

/** A name that may stand in SQL as a type: words or quoted names, with a schema, with sizes, as an array. */
const declaration =
  /^((?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"\0]|"")+")(?:\.(?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"\0]|"")+"))?(?: [a-z]+)*?) ?(?:\(([\w ,-]*)\))?((?: [a-z]+)*)((?: ?\[\d*\])*)$/iu

/** A `char` without a length has one character. */
const lengthOf = (name: string, sizes: string | undefined): number | undefined =>
  sizes === undefined ? (/^char(acter)?$/.test(name) ? 1 : undefined) : Number(sizes)

/** Names in lower case and without sizes. */
const names: ReadonlyMap<string, readonly [form: Form, cast: string]> = new Map([
  ["bool", ["bool", "bool"]],
  ["boolean", ["bool", "bool"]],
  ["bytea", ["bytea", "bytea"]],
  ["date", ["date", "date"]],
  ["float4", ["float4", "float4"]],
  ["real", ["float4", "float4"]],
  ["float8", ["float8", "float8"]],
  ["float", ["float8", "float8"]],
  ["double precision", ["float8", "float8"]],
  ["int2", ["int2", "int2"]],
  ["smallint", ["int2", "int2"]],
  ["int4", ["int4", "int4"]],
  ["int", ["int4", "int4"]],
  ["integer", ["int4", "int4"]],
  ["int8", ["int8", "int8"]],
  ["bigint", ["int8", "int8"]],
  ["json", ["json", "json"]],
  ["jsonb", ["jsonb", "jsonb"]],
  ["numeric", ["numeric", "numeric"]],
  ["decimal", ["numeric", "numeric"]],
  ["dec", ["numeric", "numeric"]],
  ["text", ["text", "text"]],
  ["varchar", ["text", "varchar"]],
  ["character varying", ["text", "varchar"]],
  ["char", ["text", "bpchar"]],
  ["character", ["text", "bpchar"]],
  ["bpchar", ["text", "bpchar"]],
  ["name", ["text", "name"]],
  ["citext", ["text", "citext"]],
  ["timestamp", ["timestamp", "timestamp"]],
  ["timestamp without time zone", ["timestamp", "timestamp"]],
  ["timestamptz", ["timestamptz", "timestamptz"]],
  ["timestamp with time zone", ["timestamptz", "timestamptz"]],
  ["uuid", ["uuid", "uuid"]],
  // Without a length, `bit` is one bit.
  ["bit", ["other", "varbit"]]
])

const oids: { readonly [cast: string]: number | undefined } = {
  bool: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802
}
