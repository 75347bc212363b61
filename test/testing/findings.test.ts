/**
 * What docs/effect-findings.md says of effect. A finding that turns red is one that the installed version has mended: delete
 * it here and there.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PartitionedSemaphore from "effect/PartitionedSemaphore"
import * as Pool from "effect/Pool"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as TxQueue from "effect/TxQueue"
import * as TxRef from "effect/TxRef"
import * as TxSemaphore from "effect/TxSemaphore"
import { Interrupt, Leaks, Sim } from "skein/testing"

const schedules = process.env["SKEIN_DEEP"] ? 20_000 : 300

type Search = Effect.Effect<unknown, Sim.BugFound | Sim.OutsideNondeterminism>

const together = (...effects: ReadonlyArray<Effect.Effect<unknown, unknown>>) =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })

const wrong = (what: string) => Effect.die(new Error(what))

/** So many operations in one go, as Effect counts them. */
const busy = (operations: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let left = operations
    return Effect.whileLoop({ while: () => left > 0, body: () => Effect.void, step: () => void left-- })
  })

/** After how many operations it happens to a fiber under Effect's own scheduler, which lets one perform 2,048. */
const distances = Effect.fnUntraced(function* (happens: (operations: number) => Effect.Effect<boolean>) {
  const found: Array<number> = []
  for (let operations = 1990; operations < 2048; operations++) {
    // A runtime of its own, as `it.effect` has a scheduler of another kind.
    if (yield* Effect.promise(() => Effect.runPromise(happens(operations)))) found.push(operations)
  }
  return found
})

/** Performs so many operations, then the effect; interrupted in the turn after its first. */
const interrupted = (operations: number, effect: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.andThen(busy(operations), effect))
    yield* Effect.yieldNow
    yield* Fiber.interrupt(fiber)
  })

const passTurns = (turns: number) =>
  Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow, { discard: true })

const finds = (search: Search, says: string) =>
  Effect.gen(function* () {
    const bug = yield* Effect.flip(search)
    assert.strictEqual(bug._tag, "BugFound", bug.message)
    assert.include(bug.message, says)
  })

const partitioned = (effect: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const semaphore = yield* PartitionedSemaphore.make<string>({ permits: 1 })
    yield* Leaks.watch("permit", () => 1 - Effect.runSync(semaphore.available))
    yield* semaphore.withPermit("key")(effect)
  })

const transactional = (use: (semaphore: TxSemaphore.TxSemaphore) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const semaphore = yield* TxSemaphore.make(1)
    yield* Leaks.watch("permit", () => 1 - Effect.runSync(TxSemaphore.available(semaphore)))
    yield* use(semaphore)
  })

const transactionalUses: Record<string, (semaphore: TxSemaphore.TxSemaphore) => Effect.Effect<unknown>> = {
  withPermit: (semaphore) => TxSemaphore.withPermit(semaphore, Effect.void),
  withPermits: (semaphore) => TxSemaphore.withPermits(semaphore, 1, Effect.void),
  withPermitScoped: (semaphore) => Effect.scoped(TxSemaphore.withPermitScoped(semaphore))
}

/** A consumer whose first `take` makes room for a producer that then cancels it. */
const cancelledByItsProducer = Effect.gen(function* () {
  const queue = yield* Queue.bounded<number>(1)
  const received: Array<number> = []
  const consumer = yield* Effect.forkChild(
    Effect.forever(
      Effect.andThen(
        Effect.yieldNow,
        Effect.map(Queue.take(queue), (n) => received.push(n))
      )
    )
  )
  yield* Queue.offerAll(queue, [1, 2])
  yield* Fiber.interrupt(consumer)
  return [...received, ...(yield* Queue.clear(queue))]
})

/** A subscriber whose `take` makes room for a publisher that then cancels it. */
const cancelledByItsPublisher = Effect.scoped(
  Effect.gen(function* () {
    const pubsub = yield* PubSub.bounded<number>(1)
    const subscription = yield* PubSub.subscribe(pubsub)
    const received: Array<number> = []
    const take = Effect.map(PubSub.take(subscription), (n) => received.push(n))
    const consumer = yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.yieldNow, take)))
    yield* Effect.forEach([1, 2], (n) => PubSub.publish(pubsub, n))
    yield* Fiber.interrupt(consumer)
    return [...received, ...(yield* PubSub.takeUpTo(subscription, 2))]
  })
)

const subscriberTakes: Record<string, (subscription: PubSub.Subscription<number>) => Effect.Effect<unknown>> = {
  take: PubSub.take,
  takeAll: PubSub.takeAll,
  takeUpTo: PubSub.takeUpTo(1),
  takeBetween: PubSub.takeBetween(1, 1)
}

/** One message, and one who takes it; it has to be taken or still there. */
const takenOrThere = (
  take: (subscription: PubSub.Subscription<number>) => Effect.Effect<unknown>,
  run: (taking: Effect.Effect<unknown>) => Effect.Effect<unknown>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pubsub = yield* PubSub.unbounded<number>()
      const subscription = yield* PubSub.subscribe(pubsub)
      yield* PubSub.publish(pubsub, 1)
      let received = 0
      yield* run(Effect.map(take(subscription), () => received++))
      return received + (yield* PubSub.remaining(subscription)) === 1
    })
  )

const takenOrQueued = (run: (taking: Effect.Effect<unknown>) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const queue = yield* TxQueue.unbounded<number>()
    yield* TxQueue.offer(queue, 1)
    let received = 0
    yield* run(Effect.map(TxQueue.take(queue), () => received++))
    return received + (yield* TxQueue.size(queue)) === 1
  })

const asVictim = (effect: Effect.Effect<unknown>) =>
  Effect.flatMap(Effect.forkChild(Interrupt.victim(effect)), Fiber.await)

const orLost = (holds: Effect.Effect<boolean>) =>
  Effect.flatMap(holds, (held) => (held ? Effect.void : wrong("a message is lost")))

const growing = Effect.scoped(
  Effect.gen(function* () {
    const pool = yield* Pool.makeWithTTL({ acquire: Effect.void, min: 0, max: 2, timeToLive: "1 hour" })
    const ready = yield* Deferred.make<void>()
    const first = Pool.use(pool, () => Deferred.await(ready))
    const second = Pool.use(pool, () => Deferred.succeed(ready, undefined))
    yield* Effect.timeout(together(first, second), "1 minute")
  })
)

/** Its first acquisition fails. */
const failing = Effect.gen(function* () {
  let tries = 0
  const acquire = Effect.suspend(() => (++tries === 1 ? Effect.fail("refused") : Effect.succeed(tries)))
  const attempt = (pool: Pool.Pool<number, string>) => Effect.exit(Pool.use(pool, () => Effect.void))
  yield* Effect.scoped(
    Effect.flatMap(Pool.make({ acquire, size: 1 }), (pool) => together(attempt(pool), attempt(pool)))
  )
})

const sharing = Effect.scoped(
  Effect.gen(function* () {
    const pool = yield* Pool.make({ acquire: Effect.void, size: 1 })
    const use = Pool.use(pool, () => Effect.void)
    yield* together(use, use, use)
  })
)

const expiring = (items: number, timeToLiveStrategy: "usage" | "creation") =>
  Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("connection", () => open)
    const acquire = Effect.acquireRelease(
      Effect.sync(() => open++),
      () => Effect.sync(() => open--)
    )
    const program = Effect.gen(function* () {
      const pool = yield* Pool.makeWithTTL({ acquire, min: 0, max: items, timeToLive: 100, timeToLiveStrategy })
      yield* together(...Array.from({ length: items }, () => Pool.use(pool, () => Effect.yieldNow)))
      yield* Effect.sleep(150)
    })
    yield* Effect.scoped(program)
  })

describe("findings", () => {
  it.effect("Queue.take loses its message when the producer that it makes room for cancels it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.promise(() => Effect.runPromise(cancelledByItsProducer)), [2])
      const all = Effect.flatMap(cancelledByItsProducer, (seen) => (seen.length === 2 ? Effect.void : wrong(`${seen}`)))
      yield* finds(Sim.explore(all), "Schedule 1 fails: 2")
    })
  )

  it.effect("PubSub.take loses its message when the publisher that it makes room for cancels it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.promise(() => Effect.runPromise(cancelledByItsPublisher)), [2])
    })
  )

  it.effect("PubSub.takeBetween loses what it has when it is interrupted while it waits for more", () =>
    Effect.gen(function* () {
      const program = Effect.scoped(
        Effect.gen(function* () {
          const pubsub = yield* PubSub.unbounded<number>()
          const subscription = yield* PubSub.subscribe(pubsub)
          yield* PubSub.publish(pubsub, 1)
          yield* Effect.timeoutOption(PubSub.takeBetween(subscription, 2, 2), "1 second")
          yield* PubSub.publish(pubsub, 2)
          return yield* PubSub.takeUpTo(subscription, 2)
        })
      )
      assert.deepStrictEqual((yield* Sim.run(program)).exit, Exit.succeed([2]))
    })
  )

  for (const [name, take] of Object.entries(subscriberTakes)) {
    it.effect(`PubSub.${name} interrupted after it has taken a message loses it`, () =>
      Effect.gen(function* () {
        yield* finds(Interrupt.everywhere(orLost(takenOrThere(take, asVictim))), "a message is lost")
        const found = yield* distances((n) =>
          Effect.map(
            takenOrThere(take, (t) => interrupted(n, t)),
            (held) => !held
          )
        )
        assert.isAbove(found.length, 0)
      })
    )
  }

  it.effect("PartitionedSemaphore.withPermits interrupted between take and effect keeps its permits", () =>
    Effect.gen(function* () {
      yield* finds(Interrupt.everywhere(partitioned(Effect.void)), "1 × permit is not given back")
      const found = yield* distances((operations) =>
        Effect.gen(function* () {
          const semaphore = yield* PartitionedSemaphore.make<string>({ permits: 1 })
          yield* interrupted(operations, semaphore.withPermit("key")(Effect.void))
          return (yield* semaphore.available) === 0
        })
      )
      assert.isAbove(found.length, 0)
    })
  )

  for (const [name, use] of Object.entries(transactionalUses)) {
    it.effect(`TxSemaphore.${name} interrupted between commit and effect keeps its permit`, () =>
      Effect.gen(function* () {
        yield* finds(Interrupt.everywhere(transactional(use)), "1 × permit is not given back")
        const found = yield* distances((operations) =>
          Effect.gen(function* () {
            const semaphore = yield* TxSemaphore.make(1)
            yield* interrupted(operations, use(semaphore))
            return (yield* TxSemaphore.available(semaphore)) === 0
          })
        )
        assert.isAbove(found.length, 0)
      })
    )
  }

  it.effect("TxQueue.take interrupted while it commits loses its message", () =>
    Effect.gen(function* () {
      yield* finds(Interrupt.everywhere(orLost(takenOrQueued(asVictim))), "a message is lost")
      const found = yield* distances((n) =>
        Effect.map(
          takenOrQueued((t) => interrupted(n, t)),
          (held) => !held
        )
      )
      assert.isAbove(found.length, 0)
    })
  )

  it.effect("Pool leaves a borrower waiting when the last growth ends just then", () =>
    Effect.gen(function* () {
      yield* finds(Sim.explore(growing, { schedules: 2000 }), "timed out")
      const found = yield* distances((operations) =>
        Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* Pool.makeWithTTL({ acquire: busy(operations), min: 0, max: 2, timeToLive: "1 hour" })
            const ready = yield* Deferred.make<void>()
            const first = yield* Effect.forkChild(Pool.use(pool, () => Deferred.await(ready)))
            yield* Effect.yieldNow
            yield* Effect.forkChild(Pool.use(pool, () => Deferred.succeed(ready, undefined)))
            yield* passTurns(10)
            const stuck = first.pollUnsafe() === undefined
            yield* Deferred.succeed(ready, undefined)
            yield* Fiber.join(first)
            return stuck
          })
        )
      )
      assert.isAbove(found.length, 0)
    })
  )

  it.effect("Pool leaves a borrower waiting when an acquisition fails just then", () =>
    Effect.gen(function* () {
      yield* finds(Sim.explore(failing, { schedules: 2000 }), "waits for an item of a Pool")
      const stuck = (turns: number) => (operations: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            let tries = 0
            const acquire = Effect.suspend(() =>
              ++tries === 1 ? Effect.andThen(passTurns(turns), Effect.fail("refused")) : Effect.succeed(tries)
            )
            const pool = yield* Pool.make({ acquire, size: 1 })
            const attempt = Effect.exit(Pool.use(pool, () => Effect.void))
            yield* Effect.forkChild(attempt)
            const late = yield* Effect.forkChild(Effect.andThen(busy(operations), attempt))
            yield* passTurns(14)
            const waits = late.pollUnsafe() === undefined
            yield* Fiber.interrupt(late)
            return waits
          })
        )
      const found = yield* Effect.forEach([1, 2, 3, 4], (turns) => distances(stuck(turns)))
      assert.isAbove(found.flat().length, 0)
    })
  )

  it.effect("Pool leaves a borrower waiting when it has to wait once more and an item comes back just then", () =>
    finds(Sim.explore(sharing, { schedules: 10_000, granularity: "op" }), "waits for an item of a Pool")
  )

  for (const strategy of ["usage", "creation"] as const) {
    it.effect(`Pool.makeWithTTL never releases an item that expires by ${strategy} while the pool closes`, () =>
      finds(
        Leaks.none(expiring(1, strategy), { schedules: 3000, stop: "interrupt" }),
        "1 × connection is not given back"
      )
    )
  }

  it.effect("Pool.makeWithTTL does so under Effect's own scheduler where hundreds of items expire", () =>
    Effect.gen(function* () {
      const program = expiring(300, "usage")
      const { steps } = yield* Sim.run(program)
      const stop = { how: "interrupt", step: steps - 2, fiber: 0 } as const
      assert.deepStrictEqual((yield* Sim.run(program, { stop })).left.lent, ["1 × connection"])
    })
  )

  it.effect("Semaphore.take interrupted after it has its permits keeps them, which withPermits is for", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1)
        yield* Leaks.semaphore(semaphore, 1)
        const take = Effect.onExit(semaphore.take(1), (exit) =>
          Exit.isSuccess(exit) ? semaphore.release(1) : Effect.void
        )
        yield* Effect.forkChild(take).pipe(Effect.flatMap((fiber) => Fiber.interrupt(fiber)))
      })
      yield* finds(Leaks.none(program, { schedules: 2000 }), "1 × permit of a semaphore is not given back")
    })
  )
})

interface Clean {
  /** False where the program has a victim of its own. */
  readonly interrupted?: false
  readonly granularity?: "boundary"
}

const clean = (program: Effect.Effect<unknown, unknown>, { interrupted, ...granularity }: Clean = {}) =>
  Effect.gen(function* () {
    yield* Interrupt.everywhere(program)
    const options = { schedules, check: noDefects, ...granularity }
    yield* Sim.explore(program, options)
    if (interrupted !== false) yield* Sim.explore(program, { ...options, stop: "interrupt" })
  })

const noDefects = <A, E>(run: Sim.Run<A, E>): unknown => {
  const defect = Exit.isFailure(run.exit) && run.exit.cause.reasons.some((reason) => reason._tag === "Die")
  return defect ? run.exit : Leaks.check(run)
}

type Numbers = Queue.Queue<number, Cause.Done>

const queues: Record<string, Effect.Effect<Numbers>> = {
  "bounded(0)": Queue.bounded(0),
  "bounded(1)": Queue.bounded(1),
  "bounded(2)": Queue.bounded(2),
  unbounded: Queue.unbounded()
}

/** Each hands what it takes to `note` as the first thing after taking it. */
const queueTakes: Record<
  string,
  (queue: Numbers, note: (taken: Iterable<number>) => void) => Effect.Effect<void, unknown>
> = {
  take: (queue, note) => Effect.map(Queue.take(queue), (n) => note([n])),
  takeAll: (queue, note) => Effect.map(Queue.takeAll(queue), note),
  takeN: (queue, note) => Effect.map(Queue.takeN(queue, 2), note),
  takeBetween: (queue, note) => Effect.map(Queue.takeBetween(queue, 1, 2), note),
  poll: (queue, note) => Effect.map(Queue.poll(queue), (taken) => note(Option.toArray(taken))),
  clear: (queue, note) => Effect.map(Queue.clear(queue), note)
}

const all = [1, 2, 3, 4]

const conserves = (
  make: Effect.Effect<Numbers>,
  take: (typeof queueTakes)[string],
  offer: (queue: Numbers) => Effect.Effect<unknown>
) =>
  Effect.gen(function* () {
    const queue = yield* make
    const received: Array<number> = []
    const note = (taken: Iterable<number>) => void received.push(...taken)
    const takes = Effect.repeat(Effect.andThen(take(queue, note), Effect.yieldNow), { times: 3 })
    const consumer = yield* Effect.forkChild(Interrupt.victim(takes))
    const producer = yield* Effect.forkChild(offer(queue))
    yield* passTurns(2)
    yield* Fiber.interrupt(consumer)
    const rest = yield* Effect.forkChild(Effect.forever(Effect.map(Queue.takeAll(queue), note)))
    yield* Fiber.join(producer)
    yield* Queue.end(queue)
    yield* Fiber.await(rest)
    if (String(received) !== String(all)) return yield* wrong(`${received} of ${all}`)
  })

const guarded = (permits: number, body: (semaphore: Semaphore.Semaphore) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.make(permits)
    yield* Leaks.semaphore(semaphore, permits)
    yield* body(semaphore)
  })

/** No more than `max` items at once, each released once, none used after that, and all back at the end. */
const pooled = (
  max: number,
  make: (acquire: Effect.Effect<Item, never, Scope.Scope>) => Effect.Effect<Pool.Pool<Item>, never, Scope.Scope>,
  body: (pool: Pool.Pool<Item>) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("item", () => open)
    const acquire = Effect.acquireRelease(
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          if (++open > max) throw new Error(`more than ${max} items`)
          return { released: false }
        })
      ),
      (item) =>
        Effect.sync(() => {
          if (item.released) throw new Error("released twice")
          item.released = true
          open--
        })
    )
    const used = Effect.flatMap(make(acquire), (pool) =>
      Effect.andThen(
        body(pool),
        Effect.flatMap(Pool.stats(pool), (stats) => (stats.used + stats.pending === 0 ? Effect.void : wrong("in use")))
      )
    )
    yield* Effect.scoped(used)
  })

interface Item {
  released: boolean
}

const work = (item: Item) =>
  Effect.andThen(
    Effect.yieldNow,
    Effect.suspend(() => (item.released ? wrong("used after release") : Effect.void))
  )

const use = (pool: Pool.Pool<Item>) => Pool.use(pool, work)
const get = (pool: Pool.Pool<Item>) => Effect.scoped(Effect.flatMap(Pool.get(pool), work))

describe("clean", () => {
  for (const [kind, make] of Object.entries(queues)) {
    for (const [name, take] of Object.entries(queueTakes)) {
      it.effect(`Queue.${kind}: ${name} interrupted loses and doubles nothing`, () =>
        Effect.gen(function* () {
          const each = (queue: Numbers) => Effect.forEach(all, (n) => Queue.offer(queue, n), { discard: true })
          yield* clean(conserves(make, take, each), { interrupted: false })
          yield* clean(conserves(make, take, Queue.offerAll(all)), { interrupted: false })
        })
      )
    }
  }

  for (const [strategy, make] of Object.entries({ sliding: Queue.sliding, dropping: Queue.dropping })) {
    it.effect(`Queue.${strategy}: keeps the order, doubles nothing and loses only what it may`, () =>
      clean(
        Effect.gen(function* () {
          const queue = yield* make<number>(2)
          const received: Array<number> = []
          const accepted: Array<number> = []
          const take = Effect.map(Queue.take(queue), (n) => void received.push(n))
          const consumer = yield* Effect.forkChild(Interrupt.victim(Effect.repeat(take, { times: 1 })))
          yield* Effect.forEach(all, (n) =>
            Effect.andThen(
              Effect.map(Queue.offer(queue, n), (taken) => (taken ? accepted.push(n) : 0)),
              Effect.yieldNow
            )
          )
          yield* Fiber.interrupt(consumer)
          received.push(...(yield* Queue.clear(queue)))
          const kept =
            strategy === "dropping" ? String(received) === String(accepted) : String(received.slice(-2)) === "3,4"
          if (!kept || new Set(received).size < received.length) return yield* wrong(`${received} of ${accepted}`)
        }),
        { interrupted: false }
      )
    )
  }

  it.effect("Queue: what was accepted before the end arrives, and nobody is left waiting", () =>
    clean(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number, Cause.Done>(1)
        const accepted: Array<number> = []
        let collected: ReadonlyArray<number> = []
        yield* together(
          Effect.forEach(all, (n) => Effect.map(Queue.offer(queue, n), (taken) => (taken ? accepted.push(n) : 0))),
          Effect.map(Queue.collect(queue), (numbers) => void (collected = numbers)),
          Queue.await(queue),
          Effect.andThen(Effect.yieldNow, Queue.end(queue))
        )
        if (String(collected) !== String(accepted)) return yield* wrong(`${collected} of ${accepted}`)
      })
    )
  )

  it.effect("Queue: a shutdown resumes everybody", () =>
    clean(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number, Cause.Done>(1)
        const waiting = [Queue.offerAll(queue, all), Queue.take(queue), Queue.takeN(queue, 2), Queue.await(queue)]
        yield* together(...waiting.map((effect) => Effect.exit<unknown, unknown, never>(effect)), Queue.shutdown(queue))
      })
    )
  )

  it.effect("Semaphore: permits come back from withPermits, withPermitsIfAvailable and takeScoped", () =>
    clean(
      guarded(2, (semaphore) =>
        together(
          semaphore.withPermits(2)(Effect.yieldNow),
          semaphore.withPermitsIfAvailable(1)(Effect.yieldNow),
          Effect.scoped(Effect.andThen(semaphore.takeScoped(2), Effect.yieldNow)),
          semaphore.withPermit(Effect.yieldNow)
        )
      )
    )
  )

  it.effect("Semaphore: take, takeIfAvailable and release in uninterruptible hands", () =>
    clean(
      guarded(2, (semaphore) => {
        const take = (n: number) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.andThen(semaphore.take(n), Effect.ensuring(restore(Effect.yieldNow), semaphore.release(n)))
          )
        const attempt = Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(semaphore.takeIfAvailable(1), (taken) =>
            taken ? Effect.ensuring(restore(Effect.yieldNow), semaphore.release(1)) : Effect.void
          )
        )
        return together(take(1), take(2), attempt, take(1))
      })
    )
  )

  it.effect("Semaphore: a resize lets in all that now fit, and never more", () =>
    clean(
      guarded(3, (semaphore) => {
        let inUse = 0
        const holding = (n: number) =>
          semaphore.withPermits(n)(
            Effect.acquireUseRelease(
              Effect.sync(() => {
                inUse += n
                if (inUse > 3) throw new Error(`${inUse} permits of 3`)
              }),
              () => Effect.yieldNow,
              () => Effect.sync(() => (inUse -= n))
            )
          )
        const resize = Effect.uninterruptible(Effect.andThen(semaphore.resize(0), semaphore.resize(3)))
        return together(holding(1), holding(2), resize, holding(3))
      })
    )
  )

  it.effect("PartitionedSemaphore.withPermitsIfAvailable gives its permits back", () =>
    clean(
      Effect.gen(function* () {
        const semaphore = yield* PartitionedSemaphore.make<string>({ permits: 2 })
        yield* Leaks.watch("permit", () => 2 - Effect.runSync(semaphore.available))
        const attempt = (n: number) => semaphore.withPermitsIfAvailable(n)(Effect.yieldNow)
        yield* together(attempt(2), attempt(1), attempt(1))
      })
    )
  )

  it.effect("PubSub: no subscriber and no message outlives its scope", () =>
    clean(
      Effect.gen(function* () {
        const pubsub = yield* PubSub.bounded<number>(1)
        yield* Leaks.watch("message", () => PubSub.sizeUnsafe(pubsub))
        const subscriber = Effect.scoped(Effect.flatMap(PubSub.subscribe(pubsub), PubSub.take))
        const patient = Effect.timeoutOption(subscriber, 10)
        yield* together(patient, patient, PubSub.publish(pubsub, 1), PubSub.publish(pubsub, 2))
      })
    )
  )

  it.effect("PubSub: an interrupted publisher leaves nothing half published", () =>
    clean(
      Effect.scoped(
        Effect.gen(function* () {
          const pubsub = yield* PubSub.bounded<number>(1)
          const subscription = yield* PubSub.subscribe(pubsub)
          yield* PubSub.publish(pubsub, 0)
          const impatient = yield* Effect.forkChild(Interrupt.victim(PubSub.publish(pubsub, 1)))
          const patient = yield* Effect.forkChild(PubSub.publish(pubsub, 2))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(impatient)
          const received: Array<number> = []
          const take = Effect.map(PubSub.take(subscription), (n) => received.push(n))
          yield* Effect.timeoutOption(Effect.forever(take), 10)
          yield* Fiber.join(patient)
          const seen = received.toSorted().join()
          if (seen !== "0,2" && seen !== "0,1,2") return yield* wrong(seen)
        })
      ),
      { interrupted: false }
    )
  )

  it.effect("PubSub: the end comes after all that was accepted, with replay as well", () =>
    clean(
      Effect.scoped(
        Effect.gen(function* () {
          const pubsub = yield* PubSub.bounded<number>({ capacity: 1, replay: 1 })
          const accepted: Array<number> = []
          const reader = (subscription: PubSub.Subscription<number>) =>
            Effect.gen(function* () {
              const received: Array<number> = []
              while (received.at(-1) !== 9) received.push(yield* PubSub.take(subscription))
              return received
            })
          const first = yield* Effect.forkChild(reader(yield* PubSub.subscribe(pubsub)))
          const late = yield* Effect.forkChild(Effect.flatMap(PubSub.subscribe(pubsub), reader))
          yield* Effect.forEach([1, 2, 3], (n) =>
            Effect.map(PubSub.publish(pubsub, n), (taken) => (taken ? accepted.push(n) : 0))
          )
          yield* PubSub.end(pubsub, 9)
          const whole = [...accepted, 9]
          if (String(yield* Fiber.join(first)) !== String(whole)) return yield* wrong("the first missed something")
          if (!String(whole).endsWith(String(yield* Fiber.join(late)))) return yield* wrong("the late one saw a gap")
        })
      )
    )
  )

  it.effect("PubSub: a shutdown resumes everybody", () =>
    clean(
      Effect.gen(function* () {
        const pubsub = yield* PubSub.bounded<number>(1)
        const take = Effect.flatMap(PubSub.subscribe(pubsub), (subscription) =>
          Effect.forever(PubSub.take(subscription))
        )
        const subscriber = Effect.exit(Effect.scoped(take))
        const publisher = Effect.exit(PubSub.publishAll(pubsub, all))
        yield* together(subscriber, subscriber, publisher, PubSub.shutdown(pubsub))
      })
    )
  )

  // Between operations a borrower may be left waiting, which is a finding.
  const pool = (...[max, make, body]: Parameters<typeof pooled>) =>
    clean(pooled(max, make, body), { granularity: "boundary" })

  it.effect("Pool of a fixed size: as many items as it may have, each used and released as it should be", () =>
    Effect.gen(function* () {
      const body = (pool: Pool.Pool<Item>) => together(use(pool), get(pool), use(pool), get(pool))
      yield* pool(1, (acquire) => Pool.make({ acquire, size: 1 }), body)
      yield* pool(2, (acquire) => Pool.make({ acquire, size: 2 }), body)
      yield* pool(1, (acquire) => Pool.make({ acquire, size: 1, concurrency: 2 }), body)
    })
  )

  it.effect("Pool: an invalidated item is replaced and then released", () => {
    const body = (pool: Pool.Pool<Item>) => {
      const invalidate = Pool.use(pool, (item) => Effect.andThen(Pool.invalidate(pool, item), work(item)))
      return together(invalidate, use(pool), use(pool))
    }
    return pool(2, (acquire) => Pool.make({ acquire, size: 1 }), body)
  })

  it.effect("Pool that grows and shrinks: no more than its maximum", () =>
    pool(
      2,
      (acquire) => Pool.makeWithTTL({ acquire, min: 0, max: 2, timeToLive: 100 }),
      (pool) => together(use(pool), get(pool), use(pool))
    )
  )

  it.effect("Latch: whoever waits is resumed once", () =>
    clean(
      Effect.gen(function* () {
        const latch = yield* Latch.make()
        let passed = 0
        const pass = Effect.sync(() => passed++)
        yield* together(
          Effect.andThen(latch.await, pass),
          latch.whenOpen(pass),
          Effect.andThen(latch.release, latch.open)
        )
        if (passed !== 2) return yield* wrong(`${passed} passed`)
      })
    )
  )

  it.effect("Deferred: the first completion is what everybody sees", () =>
    clean(
      Effect.gen(function* () {
        const deferred = yield* Deferred.make<number>()
        const await_ = Deferred.await(deferred)
        const complete = Effect.all([Deferred.succeed(deferred, 1), Deferred.succeed(deferred, 2)])
        const seen = yield* Effect.all([await_, await_, complete], { concurrency: "unbounded" })
        if (String(seen) !== "1,1,true,false") return yield* wrong(String(seen))
      })
    )
  )

  it.effect("TxRef: transactions are seen whole, and one that retries is woken", () =>
    clean(
      Effect.gen(function* () {
        const from = yield* TxRef.make(0)
        const to = yield* TxRef.make(0)
        const move = Effect.gen(function* () {
          const left = yield* TxRef.get(from)
          if (left < 5) return yield* Effect.txRetry
          yield* TxRef.set(from, left - 5)
          yield* TxRef.update(to, (n) => n + 5)
        })
        const total = Effect.tx(Effect.zipWith(TxRef.get(from), TxRef.get(to), (a, b) => a + b))
        const look = Effect.flatMap(total, (n) => (n === 0 || n === 10 ? Effect.void : wrong(`a total of ${n}`)))
        yield* together(Effect.tx(move), Effect.tx(move), look, TxRef.set(from, 10), look)
        if ((yield* TxRef.get(to)) !== 10) return yield* wrong("not all moved")
      })
    )
  )
})
