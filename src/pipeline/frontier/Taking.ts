/** What one run takes from a frontier and settles. An item is a run's for as long as its lease lasts. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FrontierStore, KeptItem, Wanted } from "../context/FrontierStore.ts"
import { Host, newId } from "../context/Host.ts"
import { FrontierError } from "../FrontierError.ts"
import * as Policy from "../Policy.ts"
import { mayPass } from "./Adding.ts"
import { decoder, type Description, type FrontierPosition } from "./Items.ts"

export interface Taking<A> extends Description<A> {
  readonly lease: Duration.Duration
  readonly poll: Duration.Duration
  readonly atOnce: number
  readonly perLane: number
  readonly follow: boolean
}

/** An item as an element. */
export interface Taken<A> {
  readonly value: A
  readonly position: FrontierPosition
  readonly bytes: number
}

/** All that is not done, in the order of its lanes. */
export const peek = <A>(store: FrontierStore, description: Description<A>): Stream.Stream<Taken<A>, FrontierError> => {
  const decode = decoder(description)
  return Stream.paginate(undefined as KeptItem | undefined, (after) =>
    Effect.flatMap(store.read(after), (items) =>
      Effect.map(
        Effect.forEach(items, decode),
        (elements) => [elements, Option.map(Option.fromUndefinedOr(items.at(-1)), (last) => last)] as const
      )
    )
  )
}

/** As `Account` of `Source` has it. */
export interface Opened<A> {
  readonly elements: Stream.Stream<Taken<A>, FrontierError>
  readonly settle: (positions: ReadonlyArray<FrontierPosition>) => Effect.Effect<void, FrontierError>
  readonly mayPass: (error: unknown) => boolean
  readonly settled: (positions: ReadonlyArray<FrontierPosition>) => void
}

export const open = <A>(store: FrontierStore, taking: Taking<A>): Effect.Effect<Opened<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { atOnce, follow, lease, name, perLane, poll } = taking
    const host = store.host ?? (yield* Host)
    const owner = `${host.id}/${yield* newId}`
    const decode = decoder(taking)

    /** By their keys, with their lanes: what is in the pipeline, and not settled. */
    const held = new Map<string, string>()
    const inLane = new Map<string, number>()
    const moved = Latch.makeUnsafe()
    const roomIn = (lane: string) => perLane - (inLane.get(lane) ?? 0)
    const hold = ({ key, lane }: KeptItem) => {
      held.set(key, lane)
      inLane.set(lane, (inLane.get(lane) ?? 0) + 1)
    }
    const drop = (key: string) => {
      const lane = held.get(key)
      if (lane === undefined || !held.delete(key)) return
      const left = inLane.get(lane)! - 1
      if (left === 0) inLane.delete(lane)
      else inLane.set(lane, left)
    }

    yield* Effect.addFinalizer(() => Effect.ignore(store.release(owner, "all")))
    // One that could not be renewed in time is another's to take, and will not settle here.
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.andThen(Effect.sleep(Duration.divideUnsafe(lease, 3)), Effect.ignore(store.renew(owner, lease)))
      )
    )

    /** Frees what is held by those who are gone. */
    const reclaim = Effect.flatMap(store.holders, (holders) =>
      Effect.forEach(
        holders,
        (holder) => {
          if (holder.owner === owner) return Effect.void
          const isDead = host.runs(holder.owner.slice(0, holder.owner.lastIndexOf("/"))) === false
          return isDead || holder.isOver ? store.release(holder.owner, isDead ? "all" : "over") : Effect.void
        },
        { discard: true }
      )
    )

    /** The lane that was taken from last. */
    let last: string | undefined
    /** Whether the reply to a statement was lost, so that this run may hold what it does not know of. */
    let isInDoubt = false

    // Those that are full come as well.
    const lanesInTurn = (count: number) =>
      Effect.map(store.lanes(last, count + inLane.size), (lanes) => lanes.filter((lane) => roomIn(lane) > 0))
    /** As many of each lane as it has room for, until there are enough. */
    const wantedOf = (lanes: ReadonlyArray<string>): ReadonlyArray<Wanted> => {
      const wanted: Array<Wanted> = []
      let count = atOnce - held.size
      for (const lane of lanes) {
        if (count <= 0) break
        const some = Math.min(count, roomIn(lane))
        wanted.push({ lane, count: some })
        count -= some
        last = lane
      }
      return wanted
    }
    const takeOnce = Effect.gen(function* () {
      if (isInDoubt) {
        const mine = (yield* store.held(owner)).filter(({ key }) => !held.has(key))
        isInDoubt = false
        if (mine.length > 0) return mine
      }
      const wanted = wantedOf(yield* lanesInTurn(atOnce - held.size))
      return wanted.length === 0 ? [] : yield* store.take(owner, wanted, lease)
    })
    const take = again(Effect.tapError(takeOnce, () => Effect.sync(() => void (isInDoubt = true))))

    let isFirst = true
    const more: Effect.Effect<readonly [ReadonlyArray<Taken<A>>, Option.Option<undefined>], FrontierError> =
      Effect.suspend(() => {
        moved.closeUnsafe()
        if (held.size >= atOnce) return Effect.andThen(moved.await, more)
        if (isFirst) {
          isFirst = false
          return Effect.andThen(again(reclaim), more)
        }
        return Effect.flatMap(take, (items) => {
          if (items.length > 0) {
            for (const item of items) hold(item)
            return Effect.map(Effect.forEach(items, decode), (elements) => [elements, Option.some(undefined)] as const)
          }
          const wait = Effect.andThen(
            Effect.raceFirst(moved.await, Effect.sleep(poll)),
            Effect.andThen(again(reclaim), more)
          )
          // What is in this pipeline, or another, may add more when it settles.
          if (held.size > 0 || follow) return wait
          return Effect.flatMap(again(store.isLeft), (isLeft) =>
            isLeft ? wait : Effect.succeed([[], Option.none()] as const)
          )
        })
      })

    return {
      elements: Stream.paginate(undefined, () => more),
      settle: (positions) =>
        Effect.flatMap(
          store.settle(
            owner,
            positions.map(({ key }) => key)
          ),
          (settled) =>
            settled === positions.length
              ? Effect.void
              : Effect.fail(
                  new FrontierError({
                    frontier: name,
                    tried: `settle ${positions.length} items`,
                    reason:
                      `${positions.length - settled} of them were taken by another run meanwhile, as this one did not renew its lease of ` +
                      `${Duration.format(lease)} in time. Nothing of them is written here; run it again, with a longer \`lease\` where something stops the program for so long`
                  })
                )
        ),
      mayPass,
      settled: (positions) => {
        for (const { key } of positions) drop(key)
        moved.openUnsafe()
      }
    }
  })

/** A server that is started again is there within seconds. */
const again = <A>(effect: Effect.Effect<A, FrontierError>): Effect.Effect<A, FrontierError> =>
  // A policy costs more than a statement, so it is set up only for the one that has to be tried again.
  Effect.catchIf(effect, mayPass, () =>
    Policy.apply(effect, {
      retries: 8,
      backoff: { base: "50 millis" },
      retryWhile: mayPass
    })
  )
