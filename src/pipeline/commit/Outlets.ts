/** The opened sinks of a run, and what each of them has committed. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Checkpoint, Lease } from "../Journal.ts"
import { InCommit } from "../context/InCommit.ts"
import { ranks } from "../Guarantee.ts"
import type { Writer } from "../Sink.ts"
import type { Known } from "./Resume.ts"
import { failed, left, type Search, whole, type WriteFailed, writePart } from "./Search.ts"

/** An opened sink. */
interface Outlet extends Known {
  readonly writer: Writer<unknown, unknown, unknown>
  /** Whether what it writes is undone with the transaction of the commit, on whose connection one writes after the other. */
  readonly isTransactional: boolean
  /** What an at-least-once sink has written since the last commit, which is not taken back. */
  readonly ahead: Ahead
}

interface Ahead {
  rows: Array<ReadonlyArray<unknown>>
  state: Option.Option<Schema.Json>
}

export type States = Checkpoint["sinks"]

/** What became of the rows of a commit in one sink. */
interface Outcome {
  readonly identity: string
  readonly state: States[string] | undefined
  readonly refused: ReadonlyMap<number, unknown>
  readonly mayAgain: boolean
}

/** Rows that a sink failed on, by their index, each with what it said. */
export class RowsRefused {
  readonly rows: ReadonlyMap<number, unknown>
  /** Whether all of them are effects that failed, and may succeed when they are tried again. */
  readonly mayAgain: boolean
  constructor(rows: ReadonlyMap<number, unknown>, mayAgain: boolean) {
    this.rows = rows
    this.mayAgain = mayAgain
  }
}

export class Outlets {
  /** What is committed. */
  states: States
  private readonly outlets: ReadonlyArray<Outlet>
  /** What can be undone comes first: what is refused there reaches nobody else. Each lane is written beside the others of its phase. */
  private readonly phases: ReadonlyArray<ReadonlyArray<ReadonlyArray<Outlet>>>

  private constructor(outlets: ReadonlyArray<Outlet>) {
    this.outlets = outlets
    this.phases = [outlets.filter(isUndone), outlets.filter((outlet) => !isUndone(outlet))].map(lanesOf)
    this.states = Object.fromEntries(
      outlets.flatMap(({ fingerprint, identity, state }) =>
        Option.isSome(state) ? [[identity, { fingerprint, state: state.value }]] : []
      )
    )
  }

  /** `endsRun` says whether a row that is refused ends the run. */
  static open(
    known: ReadonlyArray<Known>,
    lease: Lease,
    taken: ReadonlySet<string>,
    endsRun: boolean
  ): Effect.Effect<Outlets, unknown, unknown> {
    const { clean, durable, host, id: owner } = lease
    // Those that a rollback takes back are opened first.
    const ordered = known.toSorted((a, b) => ranks.indexOf(b.sink.guarantee) - ranks.indexOf(a.sink.guarantee))
    const opened: Array<Outlet> = []
    return Effect.forEach(
      ordered,
      (one) =>
        Effect.flatMap(one.sink.journal, (journal) =>
          Effect.map(one.sink.open({ committed: one.state, clean, host, owner, durable, taken, endsRun }), (writer) =>
            opened.push({
              ...one,
              writer,
              isTransactional: Option.isSome(journal),
              ahead: { rows: [], state: Option.none() }
            })
          )
        ),
      { discard: true }
    ).pipe(
      Effect.map(() => new Outlets(opened)),
      // Where one of them is refused, the others are given back.
      Effect.onError(() => Effect.ignore(Effect.suspend(() => new Outlets(opened).close)))
    ) as Effect.Effect<Outlets, unknown, Scope.Scope>
  }

  /** What was written is committed. */
  settle(states: States): void {
    this.states = states
    for (const { ahead, identity, writer } of this.outlets) {
      ahead.rows = []
      ahead.state = Option.none()
      const state = states[identity]
      if (state !== undefined) writer.settled?.(state.state)
    }
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
    if (this.outlets.length === 1) return Effect.flatMap(one(first!), (outcome) => statesOf([outcome]))
    const phase = (lanes: ReadonlyArray<ReadonlyArray<Outlet>>) =>
      Effect.flatMap(
        Effect.forEach(lanes, (lane) => inTurn(lane, one), { concurrency: "unbounded" }),
        (outcomes) => statesOf(outcomes.flat())
      )
    return Effect.map(Effect.forEach(this.phases, phase), (states) => Object.assign({}, ...states) as States)
  }

  private writeTo(
    { ahead, fingerprint, identity, sink, writer }: Outlet,
    rows: ReadonlyArray<unknown>,
    finished: boolean,
    halves: boolean
  ): Effect.Effect<Outcome, WriteFailed, unknown> {
    return Effect.withFiber((fiber) => {
      // What an effect did in a database may be undone with the transaction around it.
      const keeps = sink.guarantee === "at-least-once" && !fiber.getRef(InCommit)
      const since = Option.orElse(ahead.state, () =>
        Object.hasOwn(this.states, identity) ? Option.some(this.states[identity]!.state) : Option.none<Schema.Json>()
      )
      const refused = new Map<number, unknown>()
      const search: Search = {
        writer,
        refused,
        how: halves ? (sink.guarantee === "at-least-once" ? "halves" : "all") : "named",
        mayAgain: true,
        wrote: (part, state) => {
          if (!keeps) return
          ahead.rows.push(part)
          ahead.state = state
        }
      }
      const part = ahead.rows.length === 0 ? whole(rows) : left(rows, ahead.rows)
      const written =
        part.rows.length > 0 || Option.isNone(since) ? writePart(search, part, since) : Effect.succeed(since)
      const outcome = (state: Option.Option<Schema.Json>): Outcome => ({
        identity,
        state: refused.size > 0 ? undefined : { fingerprint, state: Option.getOrThrow(state) },
        refused,
        mayAgain: search.mayAgain
      })
      return Effect.flatMap(written, (state) =>
        finished && refused.size === 0 && writer.finish !== undefined
          ? Effect.map(Effect.catchCause(writer.finish(state), failed(writer)), (last) => outcome(Option.some(last)))
          : Effect.succeed(outcome(state))
      )
    })
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

const isUndone = ({ sink }: Outlet): boolean => sink.guarantee !== "at-least-once"

/** Those that write in one transaction share a lane. */
const lanesOf = (outlets: ReadonlyArray<Outlet>): ReadonlyArray<ReadonlyArray<Outlet>> => {
  const shared = outlets.filter(({ isTransactional }) => isTransactional)
  const own = outlets.filter(({ isTransactional }) => !isTransactional).map((outlet) => [outlet])
  return shared.length === 0 ? own : [shared, ...own]
}

/** One after the other, up to the first that refuses rows. */
const inTurn = (
  lane: ReadonlyArray<Outlet>,
  write: (outlet: Outlet) => Effect.Effect<Outcome, WriteFailed, unknown>
): Effect.Effect<ReadonlyArray<Outcome>, WriteFailed, unknown> => {
  const outcomes: Array<Outcome> = []
  let next = 0
  return Effect.as(
    Effect.whileLoop({
      while: () => next < lane.length && (outcomes.at(-1)?.refused.size ?? 0) === 0,
      body: () => write(lane[next++]!),
      step: (outcome) => void outcomes.push(outcome)
    }),
    outcomes
  )
}

const statesOf = (outcomes: ReadonlyArray<Outcome>): Effect.Effect<States, RowsRefused> => {
  const refusing = outcomes.filter(({ refused }) => refused.size > 0)
  if (refusing.length === 0) {
    return Effect.succeed(Object.fromEntries(outcomes.map(({ identity, state }) => [identity, state!])))
  }
  const refused = new Map<number, unknown>()
  for (const outcome of refusing.toReversed()) for (const [row, error] of outcome.refused) refused.set(row, error)
  return Effect.fail(
    new RowsRefused(
      refused,
      refusing.every(({ mayAgain }) => mayAgain)
    )
  )
}
