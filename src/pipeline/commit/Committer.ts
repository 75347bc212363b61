/** Makes durable what is complete: one transaction for rows, dead letters and checkpoint, and only then it is settled (P13). */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Work } from "../context/Attempt.ts"
import { isWorthIt } from "../context/Backoff.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import { type Batch, type Fate, gathered, type Refused, type Standing, standsOf } from "../fate/Fate.ts"
import type { Signal } from "../fate/Signal.ts"
import { mayPass } from "../frontier/Adding.ts"
import type { FrontierError } from "../FrontierError.ts"
import { type Checkpoint, type Commit, JournalError, type Lease } from "../Journal.ts"
import * as Policy from "../Policy.ts"
import { explained } from "../RunError.ts"
import type { Retry, SinkStep } from "../Step.ts"
import type { Intake } from "./Intake.ts"
import { spotOf } from "./Inputs.ts"
import { type Outlets, RowsRefused, type States } from "./Outlets.ts"
import { failed, WriteFailed } from "./Search.ts"
import type { StepStates } from "./StepStates.ts"

export interface CommitterOptions {
  readonly pipeline: string
  readonly lease: Lease
  readonly fate: Fate
  readonly letters: DeadLetters
  readonly intake: Intake
  readonly outlets: Outlets
  readonly insight: Watch
  readonly states: StepStates
  /** Writes what steps have added to frontiers. */
  readonly addWork: (work: ReadonlyArray<Work>) => Effect.Effect<void, FrontierError>
  /** What becomes of rows that the sink will not take. */
  readonly sink: SinkStep
  /** The least time between two commits, in milliseconds, unless enough is ready for one. */
  readonly every: number
  /** Whether the first commit forgets what an earlier run has kept. */
  readonly restart: boolean
  /** Tells of the dead letters that nobody was told of yet, where somebody wants to know. */
  readonly tell: Effect.Effect<void, unknown> | undefined
}

/** Looks at commits. */
interface Watch {
  readonly commit: <E, R>(
    batch: Batch,
    standing: Standing,
    attempts: () => number,
    commit: Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E, R>
}

export class Committer {
  /** Whether it is known what the journal keeps. */
  isCertain = true
  private readonly options: CommitterOptions
  private restart: boolean
  /** Transactions of the commit that is under way, so far. */
  private attempts = 0

  constructor(options: CommitterOptions) {
    this.options = options
    this.restart = options.restart
  }

  /** Commits as much as is complete, again and again, until nothing will become complete any more. */
  get run(): Effect.Effect<void, unknown, unknown> {
    const { every, fate } = this.options
    const commit = Effect.andThen(
      // What else is ready in this turn of the event loop goes into the same commit.
      Effect.yieldNow,
      Effect.suspend(() => this.commit(fate.take(), false))
    )
    const pause = every > 0 ? this.pause(every) : Effect.void
    const loop = Effect.whileLoop({
      while: () => !fate.isClosed || fate.isDue,
      body: () => (fate.isDue ? Effect.andThen(commit, pause) : fate.due.wait(() => fate.isClosed || fate.isDue)),
      step: () => {}
    })
    // What a new sink starts with was a commit.
    return Effect.andThen(pause, loop)
  }

  /** What a new sink starts with must be known, or what a killed run left would pass for what was there before. */
  get begin(): Effect.Effect<void, unknown, unknown> {
    const { fate, intake, outlets, tell = Effect.void } = this.options
    return Effect.andThen(
      this.restart || outlets.isNew ? this.commit(fate.take(), false) : this.tell(intake.start),
      // What an earlier run has kept, and was cut off in telling.
      tell
    )
  }

  /** All is settled, and the source was read to its end. */
  get finish(): Effect.Effect<void, unknown, unknown> {
    return this.commit(this.options.fate.take(), true)
  }

  /** Finds out what the journal keeps, where a commit ended without telling. */
  get settleDoubt(): Effect.Effect<void, unknown, unknown> {
    const { lease, outlets } = this.options
    return Effect.suspend(() =>
      this.isCertain
        ? Effect.void
        : Effect.map(lease.load, (kept) => {
            outlets.states = kept._tag === "Some" ? kept.value.sinks : {}
            this.isCertain = true
          })
    )
  }

  private commit(batch: Batch, finished: boolean): Effect.Effect<void, unknown, unknown> {
    const { fate, insight, intake, states } = this.options
    const standing = fate.after(batch)
    this.attempts = 0
    const commit = Effect.flatMap(states.next(standsOf(batch)), (steps) =>
      Effect.flatMap(intake.keep(standing.places, finished), (place) =>
        this.commitWithout(batch, { ...place, sinks: {}, steps, counts: standing.counts }, finished, noRows)
      )
    )
    return insight.commit(batch, standing, () => this.attempts, commit)
  }

  /** Commits all of a batch but the rows that were refused, and what those became; again where the sink refuses more. */
  private commitWithout(
    batch: Batch,
    next: Checkpoint,
    finished: boolean,
    refused: ReadonlyMap<number, Refused>
  ): Effect.Effect<void, unknown, unknown> {
    const { addWork, fate, intake, outlets, sink, tell } = this.options
    const { units } = batch
    const instead = [...refused.values()]
    const rows = refused.size === 0 ? batch.rows : batch.rows.filter((_, row) => !refused.has(row))
    const counts = refused.size === 0 ? next.counts : fate.after(batch, instead).counts
    const dead = gathered(units, (unit) => unit.dead).concat(instead.flatMap(({ letter }) => letter ?? []))
    const replayed = gathered(units, (unit) => unit.letters)
    const seen = batch.marks.map(({ key, step }) => ({ step, key }))
    let states: States = outlets.states
    // A replay comes to its end, and the source may not have.
    const ends = finished && next.finished
    // Made anew each time, as the transaction may run again.
    const written = Effect.suspend(() =>
      Effect.map(outlets.write(rows, ends, sink.onError !== "fail"), (written): Commit => {
        states = written
        return {
          checkpoint: { ...next, sinks: written, counts },
          dead,
          untold: tell !== undefined,
          replayed,
          seen,
          restart: this.restart
        }
      })
    )
    const work = gathered(units, (unit) => unit.work)
    const write =
      work.length === 0 ? written : Effect.tap(written, () => Effect.catchCause(addWork(work), failed({ mayPass })))
    const accounts = intake.inlets.flatMap(({ account }, source) => {
      if (account === undefined) return []
      const taken = gathered(units, (unit) => unit.positionsIn(fate.windows[source]!))
      return taken.length === 0 ? [] : [{ account, taken }]
    })
    // First of all, as a lease is: what is not this run's any more must not be written.
    const attempt = accounts.reduceRight(
      (write, { account, taken }) => Effect.andThen(Effect.catchCause(account.settle(taken), failed(account)), write),
      write
    )
    return Effect.flatMap(this.transaction(attempt), (outcome) => {
      if (outcome instanceof RowsRefused) {
        return Effect.flatMap(this.refuse(batch, outcome, refused), (more) =>
          this.commitWithout(batch, next, finished, new Map([...refused, ...more]))
        )
      }
      outlets.settle(states)
      this.options.states.settle(next.steps)
      this.restart = false
      fate.settle(batch, instead)
      for (const { account, taken } of accounts) account.settled(taken)
      const settled = this.tell(next)
      return tell === undefined || dead.length === 0 ? settled : Effect.andThen(settled, tell)
    })
  }

  /** Tells each source up to where it is kept. */
  private tell(kept: Checkpoint): Effect.Effect<void, unknown, unknown> {
    const { inlets } = this.options.intake
    // One is what most jobs have.
    return inlets.length === 1
      ? inlets[0]!.settled(kept.position)
      : Effect.forEach(inlets, ({ name, settled }) => settled(spotOf(kept, name).position), { discard: true })
  }

  /** One transaction, tried again as the policy of the sink says; gives rows that the sink will not take. */
  private transaction(
    attempt: Effect.Effect<Commit, RowsRefused | WriteFailed, unknown>
  ): Effect.Effect<RowsRefused | undefined, unknown, unknown> {
    const { lease, sink } = this.options
    const once = Effect.suspend(() => {
      this.isCertain = false
      this.attempts += 1
      return Effect.map(lease.commit(attempt), () => void (this.isCertain = true))
    })
    const { retry } = sink
    const mayHelp = (error: unknown): boolean => retry === undefined || isWorthIt(retry, error)
    const retried = Policy.apply(once, {
      ...(retry ?? passing),
      retryWhile: (error) =>
        error instanceof WriteFailed
          ? retry === undefined
            ? error.mayPass
            : mayHelp(Cause.squash(error.cause))
          : error instanceof RowsRefused
            ? retry !== undefined && error.mayAgain && [...error.rows.values()].some(mayHelp)
            : error instanceof JournalError && error.mayPass === true
    })
    return Effect.catchIf(
      retried,
      (error) => error instanceof RowsRefused || error instanceof WriteFailed,
      (error) => {
        // Nothing of it was kept.
        this.isCertain = true
        return error instanceof RowsRefused ? Effect.succeed(error) : Effect.failCause(error.cause)
      }
    )
  }

  /** Decides what becomes of rows that the sink failed on; fails where that ends the run. */
  private refuse(
    batch: Batch,
    { rows }: RowsRefused,
    before: ReadonlyMap<number, Refused>
  ): Effect.Effect<ReadonlyArray<readonly [row: number, refused: Refused]>, unknown, unknown> {
    const { letters, pipeline, sink } = this.options
    const written = batch.rows.flatMap((_, row) => (before.has(row) ? [] : [row]))
    const places = gathered(batch.units, (unit) => unit.outputs.map((_, output) => unit.nameOf(output)))
    return Effect.forEach(rows, ([index, error]) => {
      const row = written[index]!
      const input = batch.rows[row]
      const position = places[row]!
      if (sink.onError === "fail") {
        return Effect.failCause(explained(Cause.fail(error), { pipeline, step: sink.name, position, input }))
      }
      return Effect.map(
        letters.letter(sink, { input, position, path: "", error, attempts: 1 }),
        (letter) => [row, { row, letter }] as const
      )
    })
  }

  /**
   * Waits before the next commit until there is enough for one: what comes slower than that is committed at once. While the window is
   * full only for a moment, in which more than single elements become ready.
   */
  private pause(every: number): Effect.Effect<void> {
    const { fate } = this.options
    const upTo = (time: number, signal: Signal, isOver: () => boolean) =>
      Effect.suspend(() => (isOver() ? Effect.void : Effect.timeoutOption(signal.wait(isOver), time)))
    const moment = upTo(Math.min(every, soon), fate.enough, () => fate.isEnough)
    if (every <= soon) return Effect.asVoid(moment)
    const long = upTo(every - soon, fate.pressed, () => fate.isEnough || fate.isFull)
    return Effect.asVoid(Effect.andThen(long, moment))
  }
}

/** As long as that, in milliseconds, what is ready may wait without being asked to. */
export const soon = 20

const noRows: ReadonlyMap<number, Refused> = new Map()

/** For what passes by itself: long enough for a database to start again, and soon where two only got in each other's way. */
const passing: Retry = { retries: 10, backoff: { base: Duration.millis(100), cap: Duration.seconds(5) } }
