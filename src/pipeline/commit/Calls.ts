/** Elements that a function is called with, as `Sink.forEach` does. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"

interface CallsOptions<A, E, R> {
  readonly call: (elements: ReadonlyArray<A>) => Effect.Effect<unknown, E, R>
  /** The most elements of one call. */
  readonly size: number
  readonly concurrency: number
  /** Whether no more calls are made, and those under way cancelled, once one has failed. */
  readonly stops: boolean
}

/** As `Sink.InPart`. */
interface InPart {
  readonly refused: ReadonlyMap<number, unknown>
  readonly written: ReadonlyArray<number>
}

/** What a call failed with, and its elements: from one to before the other. */
interface Failure {
  readonly from: number
  readonly to: number
  readonly cause: Cause.Cause<unknown>
}

export class Calls<A, E, R> {
  private readonly options: CallsOptions<A, E, R>
  /** Of the last write. */
  private failures: Array<Failure> = []
  private written: Array<number> = []

  constructor(options: CallsOptions<A, E, R>) {
    this.options = options
  }

  readonly write = (elements: ReadonlyArray<A>): Effect.Effect<null, E, R> =>
    Effect.suspend(() => {
      const { call, concurrency, size, stops } = this.options
      this.failures = []
      this.written = []
      const starts = Array.from({ length: Math.ceil(elements.length / size) }, (_, index) => index * size)
      const made = (from: number) => {
        const to = Math.min(from + size, elements.length)
        return Effect.matchCauseEffect(
          Effect.suspend(() => call(elements.slice(from, to))),
          {
            onSuccess: () =>
              Effect.sync(() => {
                for (let index = from; index < to; index++) this.written.push(index)
              }),
            onFailure: (cause) => {
              if (!cause.reasons.every(Cause.isFailReason)) return Effect.failCause(cause)
              this.failures.push({ from, to, cause })
              return stops ? Effect.failCause(cause) : Effect.void
            }
          }
        )
      }
      return Effect.flatMap(Effect.forEach(starts, made, { concurrency, discard: true }), () =>
        this.failures.length === 0 ? Effect.succeed(null) : Effect.failCause(this.failures[0]!.cause as Cause.Cause<E>)
      )
    })

  /** Who is called with one element knows which it was. */
  readonly atFault = (): InPart => {
    const refused = new Map(
      this.failures.flatMap(({ cause, from, to }) => (to - from === 1 ? [[from, Cause.squash(cause)] as const] : []))
    )
    return { refused, written: this.written }
  }
}
