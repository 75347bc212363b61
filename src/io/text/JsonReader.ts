/**
 * Reads JSON for a schema: the value that the schema's JSON codec is to decode, with integers that numbers cannot hold as they were
 * written, for those fields that can hold them.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as JsonText from "../../concurrency/base/JsonText.ts"

/**
 * Gives the value of JSON text, or throws a SyntaxError where it is none. `isShort` is whether it is known already that no integer in
 * it is long, as `JsonText.hasLongInteger` has it.
 */
export type JsonReader = (text: string, isShort?: boolean) => unknown

/** The type of `codec` is what values become; its encoded side is their JSON, as `Schema.toCodecJson` makes it. */
export const make = (codec: SchemaAST.AST): JsonReader => {
  let common: Fit | undefined
  let exact: Fit | undefined
  let isReady = false
  // At first use, when schemas that contain themselves are there.
  const prepare = () => {
    isReady = true
    if (holdsBig(codec, new Set())) common = new Fitting(false).fit(codec)
    exact = new Fitting(true).fit(codec)
  }
  return (text, isShort = false) => {
    if (!isReady) prepare()
    return !isShort && JsonText.hasLongInteger(text)
      ? apply(exact, JsonText.parse(text))
      : apply(common, JSON.parse(text))
  }
}

/** Decodes as `Schema.fromJsonString(Schema.toCodecJson(schema))` does. */
export const decoder = <A>(schema: Schema.Codec<A, unknown>): ((text: string) => Exit.Exit<A, Schema.SchemaError>) => {
  const codec = Schema.toCodecJson(schema)
  const read = make(codec.ast)
  const value = SchemaGetter.transformEffect((text: string, options) =>
    Effect.try({
      try: () => read(text) as Schema.Json,
      catch: () => new SchemaIssue.InvalidValue({ expected: "a valid JSON string" }, text, options)
    })
  )
  const encode = SchemaGetter.forbidden<string, Schema.Json>(() => "This reads JSON, and does not write it")
  return Schema.decodeUnknownExit(Schema.String.pipe(Schema.decodeTo(codec, { decode: value, encode })))
}

export interface Rounded {
  readonly path: ReadonlyArray<PropertyKey>
  readonly detail: string
}

/** The integer that an issue at a place in a value is about, if it is one that no number holds. */
export const rounded = (value: unknown, path: ReadonlyArray<PropertyKey>): Rounded | undefined => {
  let found = value
  for (const key of path) found = typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined
  return roundedWithin(found, path)
}

const roundedWithin = (value: unknown, path: ReadonlyArray<PropertyKey>): Rounded | undefined => {
  // Not by calling itself, as it may be nested deeper than the stack.
  const open: Array<Place> = [{ value, key: "", outer: undefined }]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value: found } = place
    if (typeof found === "bigint") {
      const detail = `${short(found)} would be rounded to ${Number(found)} as a number; \`Schema.BigInt\` takes it as it is`
      return { path: [...path, ...pathOf(place)], detail }
    }
    if (typeof found !== "object" || found === null) continue
    for (const key of Object.keys(found).toReversed()) open.push({ value: Reflect.get(found, key), key, outer: place })
  }
  return undefined
}

interface Place {
  readonly value: unknown
  readonly key: string
  /** Of what it is a part; undefined for the whole. */
  readonly outer: Place | undefined
}

const pathOf = (place: Place): ReadonlyArray<string> => {
  const keys: Array<string> = []
  for (let at = place; at.outer !== undefined; at = at.outer) keys.unshift(at.key)
  return keys
}

const short = (integer: bigint): string => {
  const digits = String(integer)
  return digits.length > 50 ? `${digits.slice(0, 50)}…` : digits
}

/** A value with its numbers as the schema takes them; the value itself where they are so already. */
type Fit = (value: unknown) => unknown

const apply = (fit: Fit | undefined, value: unknown): unknown => (fit === undefined ? value : fit(value))

/** Which fits a schema needs, found out once for each of its parts; undefined where every value fits as it is. */
class Fitting {
  /** Whether there are bigints among the values, so that numbers are to be made of those that can be one. */
  private readonly isExact: boolean
  /** Whether objects are left as they are, and others made in their place: for what another member of a union may take. */
  private readonly isTrial: boolean
  private readonly known = new Map<SchemaAST.AST, Fit | undefined>()
  private trial: Fitting | undefined

  constructor(isExact: boolean, isTrial = false) {
    this.isExact = isExact
    this.isTrial = isTrial
  }

  fit(ast: SchemaAST.AST): Fit | undefined {
    if (!this.known.has(ast)) this.known.set(ast, this.find(ast))
    return this.known.get(ast)
  }

  private find(ast: SchemaAST.AST): Fit | undefined {
    const link = ast.encoding?.at(-1)
    if (link !== undefined) return isBig(ast) && isText(link.to) ? textOf : this.fit(link.to)
    switch (ast._tag) {
      case "Objects":
        return this.object(ast)
      case "Arrays":
        return this.array(ast)
      case "Union":
        return this.union(ast)
      case "Suspend": {
        let found: Fit | undefined
        let isFound = false
        return (value) => {
          if (!isFound) found = this.fit(ast.thunk())
          isFound = true
          return apply(found, value)
        }
      }
      case "Number":
      case "Literal":
        return this.isExact ? numberOf : undefined
      case "Declaration":
      case "Unknown":
      case "Any":
        return this.isExact ? (value) => this.numbersWithin(value) : undefined
      default:
        return undefined
    }
  }

  /** Where there is no schema. */
  private numbersWithin(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return numberOf(value)
    const changes = new Changes(value, this.isTrial)
    for (const key of Object.keys(value)) changes.set(key, (inner) => this.numbersWithin(inner))
    return changes.result
  }

  private object(ast: SchemaAST.Objects): Fit | undefined {
    const named = new Map<PropertyKey, Fit | undefined>()
    for (const { name, type } of ast.propertySignatures) named.set(name, this.fit(type))
    const others = ast.indexSignatures.flatMap(({ parameter, type }) => {
      const fit = this.fit(type)
      return fit === undefined ? [] : [{ fits: Schema.is(Schema.make<Schema.Schema<string>>(parameter)), fit }]
    })
    const fitted = [...named].flatMap(([name, fit]) => (fit === undefined ? [] : [[name, fit] as const]))
    if (fitted.length === 0 && others.length === 0) return undefined
    return (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value
      const changes = new Changes(value, this.isTrial)
      for (const [name, fit] of fitted) if (Object.hasOwn(value, name)) changes.set(name, fit)
      if (others.length > 0) {
        for (const name of Object.keys(value)) {
          if (named.has(name)) continue
          for (const other of others) if (other.fits(name)) changes.set(name, other.fit)
        }
      }
      return changes.result
    }
  }

  private array(ast: SchemaAST.Arrays): Fit | undefined {
    const first = ast.elements.map((element) => this.fit(element))
    const [rest, ...last] = ast.rest.map((element) => this.fit(element))
    if ([...first, rest, ...last].every((fit) => fit === undefined)) return undefined
    return (value) => {
      if (!Array.isArray(value)) return value
      const changes = new Changes(value, this.isTrial)
      const end = value.length - last.length
      for (let at = 0; at < value.length; at++) {
        const fit = at < first.length ? first[at] : at >= end ? last[at - end] : rest
        if (fit !== undefined) changes.set(at, fit)
      }
      return changes.result
    }
  }

  /** The first member that takes the value as it is, or as it fits that member. */
  private union({ types }: SchemaAST.Union): Fit | undefined {
    const trial = this.isTrial ? this : (this.trial ??= new Fitting(this.isExact, true))
    const members = types.map((type) => ({
      fit: trial.fit(type),
      takes: Schema.is(Schema.make<Schema.Schema<unknown>>(SchemaAST.toEncoded(type)))
    }))
    if (members.every(({ fit }) => fit === undefined)) return undefined
    // What can be a number stays one.
    const order = [...members.filter(({ fit }) => fit !== textOf), ...members.filter(({ fit }) => fit === textOf)]
    return (value) => {
      if (members.some(({ takes }) => takes(value))) return value
      for (const { fit, takes } of order) {
        if (fit === undefined) continue
        const fitted = fit(value)
        if (fitted !== value && takes(fitted)) return fitted
      }
      return value
    }
  }
}

/** Of an object or an array, which with `isCopied` is made anew with the first of them. */
class Changes {
  result: object
  private isCopied: boolean

  constructor(original: object, isCopied: boolean) {
    this.result = original
    this.isCopied = !isCopied
  }

  set(key: PropertyKey, fit: Fit): void {
    const value: unknown = Reflect.get(this.result, key)
    const fitted = fit(value)
    if (Object.is(fitted, value)) return
    if (!this.isCopied) this.result = Array.isArray(this.result) ? [...this.result] : { ...this.result }
    this.isCopied = true
    if (key === "__proto__") Object.defineProperty(this.result, key, { ...plain, value: fitted })
    else (this.result as Record<PropertyKey, unknown>)[key] = fitted
  }
}

/** What an assignment would make, which sets the prototype under that name. */
const plain = { configurable: true, enumerable: true, writable: true }

/** Whether there is one in a schema, with those that it contains. */
const holdsBig = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): boolean => {
  if (seen.has(ast)) return false
  seen.add(ast)
  const link = ast.encoding?.at(-1)
  if (link !== undefined) return (isBig(ast) && isText(link.to)) || holdsBig(link.to, seen)
  return partsOf(ast).some((part) => holdsBig(part, seen))
}

const partsOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Objects":
      return [...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type)
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Union":
      return ast.types
    case "Suspend":
      return [ast.thunk()]
    default:
      return []
  }
}

const isBig = (ast: SchemaAST.AST): boolean =>
  ast._tag === "BigInt" ||
  (ast._tag === "Literal" && typeof ast.literal === "bigint") ||
  (ast._tag === "Declaration" && hasId(ast.annotations, "effect/schema/BigDecimal"))

/** Text of digits, and not of a form of the user's own. */
const isText = (ast: SchemaAST.AST): boolean =>
  (ast._tag === "Literal" && typeof ast.literal === "string") ||
  (ast._tag === "String" &&
    ast.encoding === undefined &&
    (ast.checks === undefined || ast.checks.some((check) => hasId(check.annotations, "effect/schema/isStringBigInt"))))

const hasId = (annotations: Schema.Annotations.Annotations | undefined, id: string): boolean => {
  const representation = annotations?.["representation"] as { readonly id?: unknown } | undefined
  return representation?.id === id
}

/** Of a whole number that is exact: a fraction is a number, and no more exact than those are. */
const textOf: Fit = (value) =>
  typeof value === "bigint" || Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : value

const numberOf: Fit = (value) => (typeof value === "bigint" ? (JsonText.numberOf(value) ?? value) : value)
