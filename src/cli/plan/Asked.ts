/** The URLs of a list as they are asked for: each once, comments left out, and by a name without its secrets. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Stream from "effect/Stream"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { Element, Source } from "../../pipeline/Source.ts"

export interface Asked {
  /** What is fetched; none where it had a secret that was not kept. */
  readonly url: string | undefined
  /** What it is known by, in rows, lines and dead letters: the URL, without what is secret in it. */
  readonly name: string
  /** Whether it stood in the list before. */
  readonly again: boolean
}

/** Gives names, and knows what it has seen: the same list has the same names every time. */
class Names {
  private readonly seen = new Set<string>()
  private readonly named = new Map<string, number>()
  private readonly secret: ReadonlyArray<string>

  constructor(secret: ReadonlyArray<string>) {
    this.secret = secret
  }

  asked(url: string): Asked {
    const again = this.seen.has(url)
    this.seen.add(url)
    const hidden = Secrets.hidden(url, this.secret)
    if (hidden === url || again) return { url, name: hidden, again }
    // Two pages may differ in nothing but what is hidden.
    const count = (this.named.get(hidden) ?? 0) + 1
    this.named.set(hidden, count)
    return { url, name: count === 1 ? hidden : `${hidden} (${count})`, again }
  }
}

/** The URL of a line, or none in a comment or a blank line. */
export const urlIn = (line: string): string | undefined => {
  const text = line.trim()
  return text === "" || text.startsWith("#") ? undefined : text
}

/** A list of lines, whose positions grow, as URLs. What was read before is read again, to know what stood there. */
export const source = <E, R>(
  lines: Source<string, E, R, number>,
  secret: ReadonlyArray<string>
): Source<Asked, E, R, number> => ({
  ...lines,
  account: undefined,
  read: (after) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const names = new Names(secret)
        if (Option.isSome(after)) yield* look(lines, after.value, names)
        return asked(lines.read(after), names)
      })
    )
})

const asked = <E, R>(
  elements: Stream.Stream<Element<string, number>, E, R>,
  names: Names
): Stream.Stream<Element<Asked, number>, E, R> =>
  elements.pipe(
    Stream.filter(({ value }) => urlIn(value) !== undefined),
    Stream.map((element) => ({ ...element, value: names.asked(urlIn(element.value) ?? "") }))
  )

/** A line that begins before a position was read before, also where it had no end then. */
const look = <E, R>(lines: Source<string, E, R, number>, after: number, names: Names): Effect.Effect<void, E, R> => {
  let start = 0
  return lines.read(Option.none()).pipe(
    Stream.takeWhile(() => start < after),
    Stream.runForEachArray((elements) =>
      Effect.sync(() => {
        for (const { position, value } of elements) {
          const url = urlIn(value)
          if (start < after && url !== undefined) names.asked(url)
          start = position
        }
      })
    )
  )
}

/** By name, what the list has whose URLs have secrets: for a replay, as dead letters keep none. */
export const secretsIn = <E, R>(
  lines: Source<string, E, R, number>,
  secret: ReadonlyArray<string>
): Effect.Effect<ReadonlyMap<string, string>, E, R> => {
  const found = new Map<string, string>()
  return source(lines, secret)
    .read(Option.none())
    .pipe(
      Stream.runForEach(({ value: { name, url } }) =>
        Effect.sync(() => {
          if (url !== undefined && url !== name) found.set(name, url)
        })
      ),
      Effect.as(found)
    )
}

/** Kept by name alone; `found` gives back the URLs of those that have secrets. */
export const letter = (found: ReadonlyMap<string, string>): Schema.Codec<Asked, string> =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.Struct({ url: Schema.UndefinedOr(Schema.String), name: Schema.String, again: Schema.Boolean }),
      SchemaTransformation.transform({
        decode: (name): Asked => ({
          url: found.get(name) ?? (Secrets.isHidden(name) ? undefined : name),
          name,
          again: false
        }),
        encode: ({ name }) => name
      })
    )
  )
