/** The opened sinks of a run, and what each of them has committed. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Checkpoint, Lease } from "../Journal.ts"
import { ranks } from "../Guarantee.ts"
import type { Writer } from "../Sink.ts"
import type { Known } from "./Resume.ts"

interface Outlet extends Known {
  readonly writer: Writer<unknown, unknown, unknown>
}

export type States = Checkpoint["sinks"]

type Next = readonly [identity: string, state: States[string]]

/** Rows that a sink failed on, by their index, each with what it said. */
export class RowsRefused {
  readonly rows: ReadonlyMap<number, unknown>
  constructor(rows: ReadonlyMap<number, unknown>) {
    this.rows = rows
  }
}

/** A write that failed, and not for one of its rows. */
export class WriteFailed {
  readonly cause: Cause.Cause<unknown>
  /** Whether the sink says that it passes by itself. */
  readonly mayPass: boolean
  constructor(cause: Cause.Cause<unknown>, mayPass: boolean) {
    this.cause = cause
    this.mayPass = mayPass
  }
}

export class Outlets {
  /** What is committed. */
  states: States
  private readonly outlets: ReadonlyArray<Outlet>

  private constructor(outlets: ReadonlyArray<Outlet>) {
    this.outlets = outlets
    this.states = Object.fromEntries(
      outlets.flatMap(({ fingerprint, identity, state }) =>
        Option.isSome(state) ? [[identity, { fingerprint, state: state.value }]] : []
      )
    )
  }

  /** Those that a rollback takes back come first, those that can be undone next: what is refused there reaches nobody else. */
  static open(
    known: ReadonlyArray<Known>,
    lease: Lease,
    taken: ReadonlySet<string>
  ): Effect.Effect<Outlets, unknown, unknown> {
    const { clean, durable, host, id: owner } = lease
    const ordered = known.toSorted((a, b) => ranks.indexOf(b.sink.guarantee) - ranks.indexOf(a.sink.guarantee))
    const opened: Array<Outlet> = []
    return Effect.forEach(
      ordered,
      (one) =>
        Effect.map(one.sink.open({ committed: one.state, clean, host, owner, durable, taken }), (writer) =>
          opened.push({ ...one, writer })
        ),
      { discard: true }
    ).pipe(
      Effect.map(() => new Outlets(opened)),
      // Where one of them is refused, the others are given back.
      Effect.onError(() => Effect.ignore(Effect.suspend(() => new Outlets(opened).close)))
    ) as Effect.Effect<Outlets, unknown, Scope.Scope>
  }

  /** Whether there is one that has nothing committed yet. */
  get isNew(): boolean {
    return this.outlets.some(({ identity }) => !Object.hasOwn(this.states, identity))
  }

  /** The batch that its sinks prefer, in rows: the largest that one of them does. */
  get prefers(): number | undefined {
    const preferred = this.outlets.flatMap(({ writer }) => writer.prefers?.rows ?? [])
    return preferred.length === 0 ? undefined : Math.max(...preferred)
  }

  /** Writes to all, from what is committed; gives what will be. Fails with `RowsRefused` or `WriteFailed`. */
  write(
    rows: ReadonlyArray<unknown>,
    finished: boolean,
    halves: boolean
  ): Effect.Effect<States, RowsRefused | WriteFailed, unknown> {
    const one = (outlet: Outlet) => this.writeTo(outlet, rows, finished, halves)
    const [first] = this.outlets
    // One is what most jobs have.
    return this.outlets.length === 1
      ? Effect.map(one(first!), (next) => Object.fromEntries([next]))
      : Effect.map(Effect.forEach(this.outlets, one), Object.fromEntries)
  }

  private writeTo(
    { fingerprint, identity, sink, writer }: Outlet,
    rows: ReadonlyArray<unknown>,
    finished: boolean,
    halves: boolean
  ): Effect.Effect<Next, RowsRefused | WriteFailed, unknown> {
    const committed = Object.hasOwn(this.states, identity)
      ? Option.some(this.states[identity]!.state)
      : Option.none<Schema.Json>()
    const refused = new Map<number, unknown>()
    const search = halves ? (sink.guarantee === "at-least-once" ? "halves" : "all") : "named"
    const written =
      rows.length > 0 || Option.isNone(committed)
        ? writeParts({ writer, refused, search }, rows, 0, committed)
        : Effect.succeed(committed)
    const next = (state: Option.Option<Schema.Json>): Next => [
      identity,
      { fingerprint, state: Option.getOrThrow(state) }
    ]
    return Effect.flatMap(written, (state): Effect.Effect<Next, RowsRefused | WriteFailed, unknown> =>
      refused.size > 0
        ? Effect.fail(new RowsRefused(refused))
        : finished && writer.finish !== undefined
          ? Effect.map(Effect.catchCause(writer.finish(state), failed(writer)), (last) => next(Option.some(last)))
          : Effect.succeed(next(state))
    )
  }

  /** Takes away what is not committed. */
  readonly close: Effect.Effect<void, unknown, unknown> = Effect.suspend(() =>
    Effect.forEach(
      this.outlets,
      ({ identity, writer }) =>
        writer.close?.(Option.map(Option.fromUndefinedOr(this.states[identity]), ({ state }) => state)) ?? Effect.void,
      { discard: true }
    )
  )
}

/** What a write makes of its failure, of a sink or of what a source keeps account in. */
export const failed =
  ({ mayPass }: Pick<Outlet["writer"], "mayPass">) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<never, WriteFailed> =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.fail(
          new WriteFailed(
            cause,
            cause.reasons.every((reason) => Cause.isFailReason(reason) && mayPass?.(reason.error) === true)
          )
        )

interface Search {
  readonly writer: Outlet["writer"]
  readonly refused: Map<number, unknown>
  /**
   * How rows that fail are looked for: only as the sink names them, by halves where it does not, or, as what is written now is
   * undone anyway, behind the one that it names as well.
   */
  readonly search: "named" | "halves" | "all"
}

/** Writes rows; those that it fails on alone, or that the sink names, go to `refused` (P7). */
const writeParts = (
  search: Search,
  rows: ReadonlyArray<unknown>,
  from: number,
  since: Option.Option<Schema.Json>
): Effect.Effect<Option.Option<Schema.Json>, WriteFailed, unknown> => {
  const { refused, writer } = search
  return Effect.catchCause(Effect.asSome(writer.write(rows, since)), (cause) => {
    const failure = cause.reasons.find(Cause.isFailReason)
    if (failure === undefined || cause.reasons.length > 1) return failed(writer)(cause)
    const fault = writer.atFault === undefined && search.search === "named" ? "batch" : writer.atFault?.(failure.error)
    if (fault === "batch" || rows.length === 0) return failed(writer)(cause)
    const named = fault ?? (rows.length === 1 ? [0] : [])
    for (const row of named) refused.set(from + row, failure.error)
    const around = (end: number, next: number) =>
      Effect.flatMap(end === 0 ? Effect.succeed(since) : writeParts(search, rows.slice(0, end), from, since), (state) =>
        next === rows.length ? Effect.succeed(state) : writeParts(search, rows.slice(next), from + next, state)
      )
    if (named.length === 0) return around(rows.length >> 1, rows.length >> 1)
    // Who names one may have looked no further; a transaction for each of many would take forever.
    return search.search === "all" && named.length === 1 ? around(named[0]!, named[0]! + 1) : Effect.succeed(since)
  })
}
