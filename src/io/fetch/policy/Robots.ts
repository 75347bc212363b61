/**
 * What the robots.txt of origins says (RFC 9309): had once for all who ask, and kept for a day. Those that were not asked for
 * the longest time are dropped where there are many.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** What one robot may do at an origin. */
export interface Rules {
  /** The line that forbids it to ask for this address, and to whom: it, by name, or "*"; undefined where it may. */
  readonly against: (url: URL, robot: string) => { readonly line: number; readonly robot: string } | undefined
  /** Milliseconds from the start of one of its requests to that of the next. */
  readonly delay: (robot: string) => number
}

/** A file without any rules. */
export const none: Rules = { against: () => undefined, delay: () => 0 }

/** More of a file than this is not read, in bytes. */
export const mostBytes: number = 500 * 1024

export class Robots<E> {
  private readonly origins = new Map<string, Origin<E>>()

  of(name: string): Origin<E> {
    const origin = this.origins.get(name) ?? new Origin<E>()
    // The first is the one that was not asked for the longest time.
    this.origins.delete(name)
    this.origins.set(name, origin)
    if (this.origins.size > mostOrigins) this.origins.delete(this.origins.keys().next().value!)
    return origin
  }
}

export class Origin<E> {
  private rules: Rules | undefined
  private until = -Infinity
  private readonly lock = Semaphore.makeUnsafe(1)
  private runs = 0
  private failure: E | undefined

  /** As they are kept, else as `get` gives them. Those who wait for one and the same share its failure. */
  at(now: number, get: Effect.Effect<Rules, E>): Effect.Effect<Rules, E> {
    if (this.rules !== undefined && now < this.until) return Effect.succeed(this.rules)
    const { runs } = this
    return this.lock.withPermit(
      Effect.suspend(() => {
        if (this.runs === runs) return this.run(now, get)
        return this.failure === undefined ? Effect.succeed(this.rules!) : Effect.fail(this.failure)
      })
    )
  }

  private run(now: number, get: Effect.Effect<Rules, E>): Effect.Effect<Rules, E> {
    return Effect.matchEffect(get, {
      onFailure: (error) => {
        this.runs += 1
        this.failure = error
        return Effect.fail(error)
      },
      onSuccess: (rules) => {
        this.runs += 1
        this.failure = undefined
        this.rules = rules
        this.until = now + day
        return Effect.succeed(rules)
      }
    })
  }
}

/** The rules of a file. */
export const parse = (origin: string, text: string): Effect.Effect<Rules> =>
  Effect.map(
    Effect.promise(() => (loaded ??= load())),
    ({ default: parser }) => {
      const named = new Set<string>()
      // Its declarations give a module of CommonJS as the function that is its `default` here.
      const robots = (parser as unknown as Parser)(`${origin}/robots.txt`, plain(text, named))
      return {
        against: (url, robot) => {
          const path = canonical(url.pathname + url.search)
            .replaceAll("*", "%2A")
            .replaceAll("$", "%24")
          const asked = `${url.origin}${path}`
          if (url.pathname === "/robots.txt" || robots.isAllowed(asked, robot) !== false) return undefined
          return { line: robots.getMatchingLineNumber(asked, robot), robot: named.has(robot) ? robot : "*" }
        },
        delay: (robot) => {
          const seconds = robots.getCrawlDelay(robot) ?? 0
          return seconds > 0 ? Math.min(seconds, longestDelay) * 1000 : 0
        }
      }
    }
  )

const load = () => import("robots-parser")
let loaded: ReturnType<typeof load> | undefined

/** What its type says, as a module that CommonJS exports. */
type Parser = (
  url: string,
  text: string
) => {
  readonly isAllowed: (url: string, robot: string) => boolean | undefined
  readonly getMatchingLineNumber: (url: string, robot: string) => number
  readonly getCrawlDelay: (robot: string) => number | undefined
}

/** The name that rules are made for: that of `skein/1.0 (+https://…)` is `skein`. */
export const robotOf = (userAgent: string): string => (/^[^\s/(;,]+/.exec(userAgent.trim())?.[0] ?? "*").toLowerCase()

/** Its lines as the parser needs them: what is no rule does not end a group, and paths are all spelled in one way. */
const plain = (text: string, named: Set<string>): string =>
  text
    .split(/\r\n|\r|\n/)
    .map((line) => {
      const [, field = "", value = ""] = /^\s*([\w-]+)\s*:([^#]*)/.exec(line) ?? []
      switch (field.toLowerCase()) {
        case "user-agent": {
          if (value.trim() === "") return ""
          const robot = robotOf(value)
          named.add(robot)
          return `user-agent:${robot}`
        }
        case "allow":
        case "disallow":
          // A dollar that is not at the end is one like any other character.
          return `${field}:${canonical(value.trim()).replaceAll(/\$(?=.)/g, "%24")}`
        case "crawl-delay":
          return `${field}:${value.trim()}`
        default:
          return ""
      }
    })
    .join("\n")

/** What need not be coded is not, what has to be is, in capitals. */
const canonical = (path: string): string =>
  encodeURI(path)
    .replaceAll("%25", "%")
    .replaceAll(/%[0-9a-f]{2}/gi, (code) => {
      const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
      return /[\w.~-]/.test(character) ? character : code.toUpperCase()
    })

const mostOrigins = 1_000
/** In milliseconds. */
const day = 24 * 60 * 60 * 1000
/** In seconds: a host that wants more would not be read to the end by anyone. */
const longestDelay = 60
