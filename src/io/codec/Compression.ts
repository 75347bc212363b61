/**
 * Compressed bytes to plain ones and back, a piece at a time: whoever reads decides how much is inflated, so that a few bytes
 * that stand for gigabytes cost no more memory than others.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { builtin } from "./Builtin.ts"
import { Damage } from "./Damage.ts"
import type { Compression, Machine } from "./Machine.ts"
import * as WebMachine from "./WebMachine.ts"
import * as ZlibMachine from "./ZlibMachine.ts"

export { Damage } from "./Damage.ts"
export type { Compression } from "./Machine.ts"

/** The next bytes; undefined at the end. */
export type Pull<E> = Effect.Effect<Uint8Array | undefined, E>

const machine = (kind: Compression, task: "decode" | "encode", first: Uint8Array): Machine | undefined => {
  const zlib = builtin("node:zlib")
  return zlib === undefined
    ? WebMachine.make(kind, task, first)
    : ZlibMachine.make(zlib as ZlibMachine.Zlib, kind, task, first)
}

/** Whether this platform can undo it. */
export const isKnown = (kind: Compression): boolean => {
  const made = machine(kind, "decode", new Uint8Array())
  made?.close()
  return made !== undefined
}

const unsupported = (kind: Compression): Damage =>
  new Damage(kind, "unsupported", 0, `${kind} is not known to this platform`)

/**
 * The plain bytes of compressed ones, in pieces of up to 256 KiB. Members of gzip and frames of zstd may follow each other; no bytes at
 * all are an empty content. No more is asked of `next` than what was read needs.
 */
export const decoded = <E>(kind: Compression, next: Pull<E>): Effect.Effect<Pull<E | Damage>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Decoding(kind, next)),
      (decoding) => Effect.sync(() => decoding.close())
    ),
    (decoding) => decoding.pull
  )

class Decoding<E> {
  readonly pull: Pull<E | Damage> = Effect.suspend(() => this.step())

  private readonly kind: Compression
  private readonly next: Pull<E>
  private current: Machine | undefined
  /** What was fed last, and where its end stands in all that came. */
  private last: Uint8Array = new Uint8Array()
  private fed = 0
  /** Where the current member begins. */
  private start = 0
  private isLast = false

  constructor(kind: Compression, next: Pull<E>) {
    this.kind = kind
    this.next = next
  }

  close(): void {
    this.current?.close()
    this.current = undefined
  }

  private step(): Pull<E | Damage> {
    const { current } = this
    if (current === undefined) return this.isLast ? Effect.undefined : this.feed
    const bytes = current.read()
    if (bytes !== undefined) return Effect.succeed(bytes)
    if (current.failure !== undefined) return Effect.fail(this.damage(current.failure, current.used))
    if (current.ended) return this.endMember(this.start + current.used)
    if (current.wants && !this.isLast) return this.feed
    return Effect.andThen(current.change, this.pull)
  }

  private readonly feed: Pull<E | Damage> = Effect.suspend(() =>
    Effect.flatMap(this.next, (bytes) => {
      if (bytes === undefined) {
        this.isLast = true
        this.current?.finish()
        return this.pull
      }
      this.last = bytes
      this.fed += bytes.length
      return this.take(bytes)
    })
  )

  /** Gives bytes to the member that they belong to. */
  private take(bytes: Uint8Array): Pull<E | Damage> {
    if (bytes.length === 0) return this.pull
    if (this.current === undefined) {
      const made = machine(this.kind, "decode", bytes)
      if (made === undefined) return Effect.fail(unsupported(this.kind))
      this.start = this.fed - bytes.length
      this.current = made
    }
    this.current.feed(bytes)
    return this.pull
  }

  /** `end` is where the member ended. What follows in the bytes at hand is another one; zeros behind gzip are padding. */
  private endMember(end: number): Pull<E | Damage> {
    this.close()
    const rest = this.last.subarray(this.last.length - (this.fed - end))
    const more = this.kind === "gzip" ? rest.subarray(zerosOf(rest)) : rest
    if (more.length === 0) return this.pull
    if (!manyMembers.has(this.kind)) {
      return Effect.fail(new Damage(this.kind, "trailing", end, "its data has ended, and more bytes follow"))
    }
    const taken = this.take(more)
    if (this.isLast) this.current?.finish()
    return taken
  }

  private damage(failure: unknown, used: number): Damage {
    const { code, message } = failure as { readonly code?: unknown; readonly message?: unknown }
    return code === "Z_BUF_ERROR"
      ? new Damage(this.kind, "cut", this.fed, "it ends in the middle of its data")
      : new Damage(this.kind, "bad", this.start + used, `it is damaged, or is no ${this.kind}: ${String(message)}`)
  }
}

const manyMembers: ReadonlySet<Compression> = new Set(["gzip", "zstd"])

const zerosOf = (bytes: Uint8Array): number => {
  const found = bytes.findIndex((byte) => byte !== 0)
  return found < 0 ? bytes.length : found
}

/** The compressed form of plain bytes, as one member. */
export const encoded = <E>(kind: Compression, next: Pull<E>): Effect.Effect<Pull<E | Damage>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => machine(kind, "encode", new Uint8Array())),
      (made) => Effect.sync(() => made?.close())
    ),
    (made) => {
      if (made === undefined) return Effect.fail(unsupported(kind))
      let isLast = false
      const pull: Pull<E | Damage> = Effect.suspend(() => {
        const bytes = made.read()
        if (bytes !== undefined) return Effect.succeed(bytes)
        if (made.failure !== undefined) return Effect.fail(new Damage(kind, "bad", made.used, String(made.failure)))
        if (made.ended) return Effect.undefined
        if (!made.wants || isLast) return Effect.andThen(made.change, pull)
        return Effect.flatMap(next, (bytes) => {
          if (bytes === undefined) {
            isLast = true
            made.finish()
          } else if (bytes.length > 0) made.feed(bytes)
          return pull
        })
      })
      return pull
    }
  )

/** All at once, for what is in memory anyway. More than `limit` bytes fail with a `Damage` of reason "large". */
export const decodedAll = (kind: Compression, bytes: Uint8Array, limit: number): Effect.Effect<Uint8Array, Damage> =>
  Effect.scoped(
    Effect.flatMap(decoded(kind, once(bytes)), (pull) =>
      gathered(
        pull,
        limit,
        () => new Damage(kind, "large", bytes.length, `it has more than ${limit} bytes when undone`)
      )
    )
  )

/** All at once, as one member: what is appended to a file of them makes it longer. */
export const encodedAll = (kind: Compression, bytes: Uint8Array): Effect.Effect<Uint8Array, Damage> =>
  Effect.scoped(Effect.flatMap(encoded(kind, once(bytes)), (pull) => gathered(pull, Infinity, () => unsupported(kind))))

const once = (bytes: Uint8Array): Pull<never> => {
  let isGiven = false
  return Effect.sync(() => {
    if (isGiven) return undefined
    isGiven = true
    return bytes
  })
}

const gathered = (pull: Pull<Damage>, limit: number, tooLarge: () => Damage): Effect.Effect<Uint8Array, Damage> => {
  const pieces: Array<Uint8Array> = []
  let length = 0
  const more: Effect.Effect<Uint8Array, Damage> = Effect.flatMap(pull, (bytes) => {
    if (bytes === undefined) return Effect.succeed(joined(pieces, length))
    pieces.push(bytes)
    length += bytes.length
    return length > limit ? Effect.fail(tooLarge()) : more
  })
  return more
}

const joined = (pieces: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  if (pieces.length === 1) return pieces[0]!
  const all = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
