/** The items of a frontier, to and from what is kept of them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as JsonText from "../../concurrency/base/JsonText.ts"
import { isTooDeep, unlessTooDeep } from "../../concurrency/base/Nesting.ts"
import { sha256 } from "../../concurrency/base/Sha256.ts"
import type { KeptItem, NewItem } from "../context/FrontierStore.ts"
import type { Position } from "../context/Place.ts"
import { FrontierError } from "../FrontierError.ts"

/** Where an item stands: what it is known by, and how many items led to it. */
export type FrontierPosition = { readonly frontier: string; readonly key: string; readonly depth: number }

/** What is known of a frontier without its journal. */
export interface Description<A> {
  readonly name: string
  readonly schema: Schema.Codec<A, unknown>
  /** Fields of the item in JSON; none where the whole of it is the key. */
  readonly key: ReadonlyArray<string>
  readonly priority: ((item: A) => number) | undefined
  readonly lane: ((item: A) => string) | undefined
}

/** What is kept of a new item, or why there is none. */
export const encoder = <A>({
  key: fields,
  lane,
  name,
  priority,
  schema
}: Description<A>): ((item: A, at: number, depth: number, given: number | undefined) => NewItem | FrontierError) => {
  const encode = Schema.encodeUnknownExit(Schema.toCodecJson(schema))
  return (item, at, depth, given) => {
    const refused = (reason: string) =>
      new FrontierError({ frontier: name, tried: "add items", reason: `item ${at + 1} ${reason}`, item: at })
    const json = encode(item)
    if (Exit.isFailure(json)) return refused(`does not encode: ${issueOf(json.cause)}`)
    const text = JsonText.print(json.value)
    if (Result.isFailure(text)) return refused(text.failure)
    const parts: Array<string | number | boolean> = []
    for (const part of fields.length === 0 ? [undefined] : fields) {
      const value = part === undefined ? json.value : fieldOf(json.value, part)
      if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
        return refused(
          part === undefined
            ? "is no text, number or boolean, so that it needs fields to be known by: give their names as `key`"
            : `has no text, number or boolean as its key ${JSON.stringify(part)}`
        )
      }
      parts.push(value)
    }
    const key = parts.length === 1 ? String(parts[0]) : JSON.stringify(parts)
    const way = lane === undefined ? "" : String(lane(item))
    for (const [what, one] of [
      ["key", key],
      ["lane", way]
    ] as const) {
      if (!one.isWellFormed() || one.includes("\0"))
        return refused(`has a ${what} that is no text which databases keep`)
    }
    const rank = given ?? priority?.(item) ?? 0
    if (!Number.isFinite(rank)) return refused(`has a priority that is no finite number: ${rank}`)
    return { key: shortened(key), item: text.success, depth, priority: rank, lane: shortened(way) }
  }
}

/** The element of an item that is kept. */
export const decoder = <A>({
  name,
  schema
}: Description<A>): ((
  item: KeptItem
) => Effect.Effect<
  { readonly value: A; readonly position: FrontierPosition; readonly bytes: number },
  FrontierError
>) => {
  const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.toCodecJson(schema)))
  return ({ depth, item, key }: KeptItem) => {
    const exit = decode(item)
    if (Exit.isSuccess(exit)) {
      const position: FrontierPosition = { frontier: name, key, depth }
      return Effect.succeed({ value: exit.value, position, bytes: 64 + item.length })
    }
    const reason = `item ${JSON.stringify(key)} is not as the schema says: ${issueOf(exit.cause)}`
    return Effect.fail(new FrontierError({ frontier: name, tried: "read items", reason }))
  }
}

/** How deep what an element adds to the frontier is: one more than the deepest of its items that it was made of. */
export const depthOf = (frontier: string, positions: ReadonlyArray<Position> = []): number => {
  let depth = -1
  for (const position of positions) {
    if (isOf(frontier, position)) depth = Math.max(depth, position.depth)
  }
  return depth + 1
}

const isOf = (frontier: string, position: Position): position is FrontierPosition =>
  typeof position === "object" && position !== null && "frontier" in position && position["frontier"] === frontier

const fieldOf = (json: unknown, field: string): unknown =>
  typeof json === "object" && json !== null && Object.hasOwn(json, field) ? Reflect.get(json, field) : undefined

/** An index holds only so much: what is longer is known by how it begins and by its digest, as who made it may want two to be one. */
const shortened = (text: string): string =>
  text.length <= longest ? text : `${text.slice(0, longest).toWellFormed()}…${sha256(text)}`

/** In UTF-16 units, of which each takes three bytes at most; an index of PostgreSQL holds 2,700. */
const longest = 600

const issueOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const message = () => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ")
  return isTooDeep(cause) ? tooDeep : unlessTooDeep(message, () => tooDeep)
}

const tooDeep = "it is nested too deep"
