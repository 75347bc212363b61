/**
 * What docs/effect-findings.md says of effect's shared resources, fibers and streams. A finding that turns red is one that
 * the installed version has mended: delete it here and there.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as RcRef from "effect/RcRef"
import * as Resource from "effect/Resource"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as ScopedCache from "effect/ScopedCache"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as SynchronizedRef from "effect/SynchronizedRef"
import { Interrupt, Leaks, Sim } from "skein/testing"

const schedules = process.env["SKEIN_DEEP"] ? 10_000 : 200

const together = <R = never>(...effects: ReadonlyArray<Effect.Effect<unknown, unknown, R>>) =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })

const must = (holds: boolean, otherwise: string) => (holds ? Effect.void : Effect.die(new Error(otherwise)))

/** So many operations in one go, as Effect counts them. */
const busy = (operations: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let left = operations
    return Effect.whileLoop({ while: () => left > 0, body: () => Effect.void, step: () => void left-- })
  })

const finds = (search: Effect.Effect<unknown, Sim.BugFound | Sim.OutsideNondeterminism>, says: string) =>
  Effect.gen(function* () {
    const bug = yield* Effect.flip(search)
    assert.strictEqual(bug._tag, "BugFound", bug.message)
    assert.include(bug.message, says)
  })

/** What the effect gives in the order in which Effect itself runs it. */
const naturally = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Sim.run(effect), ({ exit }) => exit)

/** Completes a Deferred for which somebody already waits, who then does the rest, within that one step. */
const wakes = Effect.fnUntraced(function* <A, E>(whenWoken: Effect.Effect<A, E>) {
  const started = yield* Deferred.make<void>()
  const woken = yield* Effect.forkChild(Effect.andThen(Deferred.await(started), whenWoken), { startImmediately: true })
  return { wake: Deferred.succeed(started, undefined), woken: Fiber.await(woken) }
})

/** The third element opens the gate at which the first waits. */
const opensAGate = (elements: number) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const ran: Array<number> = []
    const step = (n: number) =>
      Effect.suspend(() => {
        ran.push(n)
        if (n === 0) return Effect.as(Deferred.await(gate), n)
        return Effect.as(Effect.andThen(n === 2 ? Deferred.succeed(gate, undefined) : Effect.void, Effect.yieldNow), n)
      })
    const given = yield* Effect.forEach(Array.from({ length: elements }).keys(), step, { concurrency: 2 })
    return { ran, given }
  })

const manyEmptyStreams = Stream.range(1, 1000).pipe(
  Stream.tap(() => Effect.void),
  Stream.flatMap(() => Stream.empty, { concurrency: "unbounded" }),
  Stream.runDrain
)

/** The inner stream of 1 performs so many operations and ends, about when the inner stream of 2 is begun. */
const endsMeanwhile = (operations: number) => {
  const outer = Stream.tap(Stream.rechunk(Stream.make(1, 2), 1), (n) => (n === 2 ? Effect.yieldNow : Effect.void))
  const inner = (n: number) =>
    n === 1 ? Stream.fromEffectDrain(busy(operations)) : Stream.fromEffect(Effect.as(Effect.sleep(1), n))
  return Stream.runCollect(Stream.flatMap(outer, inner, { concurrency: 2 }))
}

const idleGroup = Effect.gen(function* () {
  const seen: Array<number> = []
  const source = Stream.range(0, 2).pipe(
    Stream.rechunk(1),
    Stream.tap(() => Effect.sleep(1))
  )
  const groups = Stream.groupByKey(source, () => "key", { idleTimeToLive: 1 })
  const note = (n: number) => Effect.sync(() => void seen.push(n))
  yield* Stream.runDrain(Stream.flatMap(groups, ([, group]) => Stream.tap(group, note), { concurrency: 4 }))
  yield* must(seen.length === 3, `only ${seen} arrived`)
})

const shared = Effect.scoped(
  Effect.flatMap(Stream.share(Stream.range(1, 3), { capacity: 16 }), (stream) => Stream.runCollect(stream))
)

const cleanUpSlowly = Effect.ensuring(Effect.sleep("1 second"), Effect.sleep("1 second"))

/** Something that is open from its acquisition to the begin of its release. */
const tracked = (release: Effect.Effect<unknown> = Effect.yieldNow) => {
  const open = new Set<number>()
  let made = 0
  const acquire = Effect.acquireRelease(
    Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => (open.add(++made), made))
    ),
    (id) =>
      Effect.andThen(
        Effect.suspend(() => must(open.delete(id), `${id} is released twice`)),
        release
      )
  )
  return {
    acquire,
    made: () => made,
    open,
    isOpen: (id: number) => Effect.suspend(() => must(open.has(id), `${id} is used after its release`)),
    watch: Leaks.watch("resource", () => open.size)
  }
}

describe("findings", () => {
  it.effect(
    "forEach with bounded concurrency runs an element twice when it ends an earlier one in its first turn",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* naturally(opensAGate(4)),
          Exit.succeed({ ran: [0, 1, 2, 2, 3], given: [0, 1, 2, 3, 2] })
        )
      })
  )

  it.effect("and never runs another", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* naturally(opensAGate(5)),
        Exit.succeed({ ran: [0, 1, 2, 2, 3], given: [0, 1, 2, 3, 2] })
      )
    })
  )

  it.effect("Stream.flatMap with concurrency hangs when an inner stream ends before its fiber is registered", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(Sim.run(manyEmptyStreams)))._tag, "Deadlock")
      const one = Stream.runDrain(Stream.flatMap(Stream.make(1), () => Stream.empty, { concurrency: "unbounded" }))
      yield* finds(Sim.explore(one, { granularity: "op" }), "waits for a Latch")
    })
  )

  it.effect("and loses the failure of one that fails so early", () => {
    const inner = (n: number) => (n === 1 ? Stream.fail("refused") : Stream.empty)
    const failing = Stream.runDrain(Stream.flatMap(Stream.make(1), inner, { concurrency: "unbounded" }))
    return finds(Sim.explore(Effect.flip(failing), { granularity: "op" }), "waits for a Latch")
  })

  it.effect("and ends too early when one ends while the next is begun", () =>
    Effect.gen(function* () {
      const distances = Array.from({ length: 100 }, (_, index) => 1960 + index)
      const exits = yield* Effect.forEach(distances, (operations) => naturally(endsMeanwhile(operations)))
      assert.isTrue(exits.some((exit) => Exit.isSuccess(exit) && exit.value.length === 0))
      const inner = (n: number) => Stream.fromEffect(Effect.as(Effect.sleep(1), n))
      const three = Stream.runCollect(Stream.flatMap(Stream.range(1, 3), inner, { concurrency: 2 }))
      const all = Effect.flatMap(three, (given) => must(given.length === 3, `it gave ${given.length}`))
      yield* finds(Sim.explore(all, { schedules: 2000 }), "it gave 2")
    })
  )

  it.effect("Stream.groupByKey loses an element that comes when its group has been idle for long enough", () =>
    finds(Sim.explore(idleGroup, { schedules: 2000 }), "only 0,2 arrived")
  )

  it.effect("Cache.get looks up twice when the lookup wakes somebody who asks for the same key", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        let lookups = 0
        let wake: Effect.Effect<unknown> = Effect.void
        const lookup = (_: string) => Effect.suspend(() => Effect.as(Effect.andThen(wake, Effect.yieldNow), ++lookups))
        const cache = yield* Cache.make({ capacity: 10, lookup })
        const other = yield* wakes(Cache.get(cache, "key"))
        wake = other.wake
        return [yield* Cache.get(cache, "key"), yield* Effect.flatten(other.woken)]
      })
      assert.deepStrictEqual(yield* naturally(program), Exit.succeed([1, 2]))
    })
  )

  it.effect("RcRef.get dies, and keeps the resource, when the acquisition wakes somebody who gets it, too", () =>
    Effect.gen(function* () {
      const program = Effect.scoped(
        Effect.gen(function* () {
          let open = 0
          let wake: Effect.Effect<unknown> = Effect.void
          const acquire = Effect.acquireRelease(
            Effect.suspend(() => (open++, wake)),
            () => Effect.sync(() => open--)
          )
          const ref = yield* RcRef.make({ acquire })
          const other = yield* wakes(Effect.scoped(RcRef.get(ref)))
          wake = other.wake
          yield* Effect.scoped(RcRef.get(ref))
          return [String(yield* other.woken).includes("Die(TypeError"), open]
        })
      )
      assert.deepStrictEqual(yield* naturally(program), Exit.succeed([true, 1]))
    })
  )

  const onlyIfMissing = {
    FiberMap: Effect.map(
      FiberMap.make<string>(),
      (map) => (effect: Effect.Effect<unknown>) => FiberMap.run(map, "key", effect, { onlyIfMissing: true })
    ),
    FiberHandle: Effect.map(
      FiberHandle.make(),
      (handle) => (effect: Effect.Effect<unknown>) => FiberHandle.run(handle, effect, { onlyIfMissing: true })
    )
  }
  for (const [name, make] of Object.entries(onlyIfMissing)) {
    it.effect(`${name}.run starts twice when what it runs wakes somebody who runs the same, onlyIfMissing`, () =>
      Effect.gen(function* () {
        const program = Effect.gen(function* () {
          let starts = 0
          let wake: Effect.Effect<unknown> = Effect.void
          const run = (yield* make)(Effect.suspend(() => (starts++, Effect.andThen(wake, Effect.sleep(1)))))
          const other = yield* wakes(run)
          wake = other.wake
          yield* run
          yield* other.woken
          return starts
        })
        assert.deepStrictEqual(yield* naturally(Effect.scoped(program)), Exit.succeed(2))
      })
    )
  }

  it.effect("Stream.mapEffect begins one more element after the stream has ended, and does not wait for it", () =>
    Effect.gen(function* () {
      const mapped = Stream.mapEffect(Stream.range(0, 9), () => cleanUpSlowly, { concurrency: 2 })
      const { left } = yield* Sim.run(Stream.runDrain(Stream.take(mapped, 1)))
      assert.deepStrictEqual(left.fibers.length, 1)
    })
  )

  it.effect("and so does the unordered one, in some orders", () => {
    const options = { concurrency: 2, unordered: true }
    const mapped = Stream.mapEffect(Stream.range(0, 9), () => cleanUpSlowly, options)
    return finds(Leaks.none(Stream.runDrain(Stream.take(mapped, 1))), "is alive; 1 timer is pending")
  })

  it.effect("Resource.get gives what refresh is releasing", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const { acquire, open } = tracked(Effect.sleep("1 second"))
        const resource = yield* Resource.manual(acquire)
        yield* Effect.forkChild(Resource.refresh(resource))
        yield* Effect.sleep(1)
        return open.has(yield* Resource.get(resource))
      })
      assert.deepStrictEqual(yield* naturally(Effect.scoped(program)), Exit.succeed(false))
    })
  )

  it.effect("Stream.share begins before its first consumer listens, if that one has to make room just then", () =>
    Effect.gen(function* () {
      const heard = (operations: number) => naturally(Effect.andThen(busy(operations), shared))
      const distances = Array.from({ length: 100 }, (_, index) => 1950 + index)
      const exits = yield* Effect.forEach(distances, heard)
      assert.isTrue(exits.some((exit) => Exit.isSuccess(exit) && exit.value.length === 0))
    })
  )

  it.effect("ScopedCache.get interrupted just as the lookup ends never releases what was looked up", () => {
    const program = Effect.gen(function* () {
      const { acquire, watch } = tracked()
      yield* watch
      const cache = yield* ScopedCache.make({ capacity: 10, lookup: (_: string) => acquire })
      yield* ScopedCache.get(cache, "key")
    })
    return finds(Interrupt.everywhere(Effect.scoped(program)), "1 × resource is not given back")
  })

  it.effect("RcMap never releases what becomes idle just as its idle timer gives up", () => {
    const program = Effect.gen(function* () {
      const { acquire, open } = tracked()
      const map = yield* RcMap.make({ lookup: (_: string) => acquire, idleTimeToLive: 1 })
      const use = Effect.scoped(Effect.andThen(RcMap.get(map, "key"), Effect.yieldNow))
      yield* use
      yield* Effect.sleep(1)
      yield* use
      yield* Effect.sleep("1 hour")
      yield* must(open.size === 0, "still there after an hour")
    })
    return finds(
      Sim.explore(Effect.scoped(program), { schedules: 5000, granularity: "op" }),
      "still there after an hour"
    )
  })

  it.effect("FiberHandle.awaitEmpty does not wait for a fiber that has replaced the one it found, as documented", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const handle = yield* FiberHandle.make()
        yield* FiberHandle.run(handle, Effect.sleep(5))
        yield* Effect.forkChild(Effect.delay(FiberHandle.run(handle, Effect.sleep(5)), 1))
        yield* FiberHandle.awaitEmpty(handle)
        return Option.isNone(yield* FiberHandle.get(handle))
      })
      assert.deepStrictEqual(yield* naturally(Effect.scoped(program)), Exit.succeed(false))
    })
  )
})

/** Holds one element after the other: gives them in order, twice at once at most, and no task outlives a stream. */
const mapsEach = (options: { readonly concurrency: number; readonly unordered?: boolean }) =>
  Effect.gen(function* () {
    let running = 0
    const task = (n: number) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => must(++running <= options.concurrency, `${running} at once`)),
        () => Effect.as(Effect.sleep(n % 3), n),
        () => Effect.sync(() => running--)
      )
    const given = yield* Stream.runCollect(Stream.mapEffect(Stream.range(0, 4), task, options))
    if (options.unordered) given.sort()
    yield* must(String(given) === "0,1,2,3,4" && running === 0, `${given}, ${running} running`)
  })

/** Runs for a while, and needs a turn to end. */
const tasks = () => {
  let running = 0
  return {
    running: () => must(running === 0, `${running} run`),
    task: (milliseconds: number) =>
      Effect.acquireUseRelease(
        Effect.sync(() => running++),
        () => Effect.sleep(milliseconds),
        () =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => running--)
          )
      )
  }
}

/** Several who get, one of whom gives up, and whatever else happens meanwhile. */
const sharing = (
  make: (acquire: Effect.Effect<number, never, Scope.Scope>) => Effect.Effect<
    {
      readonly get: Effect.Effect<number, unknown, Scope.Scope>
      readonly meanwhile?: Effect.Effect<unknown, unknown>
    },
    never,
    Scope.Scope
  >
) =>
  Effect.gen(function* () {
    const { acquire, isOpen, watch } = tracked(Effect.sleep(2))
    yield* watch
    const program = Effect.gen(function* () {
      const { get, meanwhile = Effect.void } = yield* make(acquire)
      const use = Effect.scoped(
        Effect.gen(function* () {
          const id = yield* get
          yield* isOpen(id)
          yield* Effect.sleep(3)
          yield* isOpen(id)
        })
      )
      yield* together(use, use, Effect.timeoutOption(use, 1), Effect.delay(use, 5), Effect.delay(use, 8), meanwhile)
    })
    yield* Effect.scoped(program)
  })

const service = Context.Service<"connection", number>("connection")

const holds: Record<string, Effect.Effect<unknown, unknown>> = {
  "RcMap shares": sharing((acquire) =>
    Effect.map(RcMap.make({ lookup: (_: string) => acquire }), (map) => ({ get: RcMap.get(map, "key") }))
  ),
  "RcMap keeps what is idle, and invalidates": sharing((acquire) =>
    Effect.map(RcMap.make({ lookup: (_: string) => acquire, idleTimeToLive: 5 }), (map) => ({
      get: RcMap.get(map, "key"),
      meanwhile: Effect.andThen(Effect.delay(RcMap.invalidate(map, "key"), 8), RcMap.touch(map, "key"))
    }))
  ),
  "RcRef shares": sharing((acquire) => Effect.map(RcRef.make({ acquire }), (ref) => ({ get: RcRef.get(ref) }))),
  "RcRef keeps what is idle, and invalidates": sharing((acquire) =>
    Effect.map(RcRef.make({ acquire, idleTimeToLive: 5 }), (ref) => ({
      get: RcRef.get(ref),
      meanwhile: Effect.delay(RcRef.invalidate(ref), 8)
    }))
  ),
  "LayerMap shares": sharing((acquire) =>
    Effect.map(
      LayerMap.make((_: string) => Layer.effect(service)(acquire), { idleTimeToLive: 5 }),
      (map) => ({
        get: Effect.map(map.contextEffect("key"), (context) => Context.get(context, service)),
        meanwhile: Effect.delay(map.invalidate("key"), 8)
      })
    )
  ),
  "Cache looks up once": Effect.gen(function* () {
    let lookups = 0
    const lookup = (_: string) => Effect.suspend(() => Effect.as(Effect.sleep(1), ++lookups))
    const cache = yield* Cache.make({ capacity: 10, lookup })
    const get = Cache.get(cache, "key")
    yield* together(get, Effect.timeoutOption(get, 5), get)
    yield* must(lookups === 1, `${lookups} lookups`)
  }),
  "Cache refreshes, forgets and interrupts what nobody waits for": Effect.gen(function* () {
    const { running, task } = tasks()
    const cache = yield* Cache.make({ capacity: 1, timeToLive: 5, lookup: (_: string) => task(3) })
    const refresh = Cache.refresh(cache, "a")
    const invalidate = Effect.delay(Cache.invalidate(cache, "a"), 2)
    yield* together(Cache.get(cache, "a"), refresh, Effect.timeoutOption(refresh, 1), Cache.get(cache, "b"), invalidate)
    yield* must((yield* Cache.size(cache)) <= 1, "more than its capacity")
    yield* running()
  }),
  FiberMap: Effect.gen(function* () {
    const { running, task } = tasks()
    const program = Effect.gen(function* () {
      const map = yield* FiberMap.make<string>()
      const run = FiberMap.run(map, "a", task(5))
      const other = FiberMap.run(map, "b", task(3), { onlyIfMissing: true })
      yield* together(run, other, run, FiberMap.remove(map, "a"), Effect.delay(run, 2), Effect.delay(other, 2))
      yield* FiberMap.awaitEmpty(map)
      yield* must((yield* FiberMap.size(map)) === 0, "it is not empty")
      yield* together(run, other, FiberMap.clear(map), run)
    })
    yield* Effect.scoped(program)
    yield* running()
  }),
  FiberSet: Effect.gen(function* () {
    const { running, task } = tasks()
    const program = Effect.gen(function* () {
      const set = yield* FiberSet.make()
      const run = FiberSet.run(set, task(3))
      yield* together(run, run, Effect.delay(run, 3), Effect.delay(FiberSet.clear(set), 2))
      yield* FiberSet.awaitEmpty(set)
      yield* must((yield* FiberSet.size(set)) === 0, "it is not empty")
      yield* together(run, run)
    })
    yield* Effect.scoped(program)
    yield* running()
  }),
  FiberHandle: Effect.gen(function* () {
    const { running, task } = tasks()
    const program = Effect.gen(function* () {
      const handle = yield* FiberHandle.make()
      const run = FiberHandle.run(handle, task(3))
      const other = FiberHandle.run(handle, task(1), { onlyIfMissing: true })
      yield* together(run, other, run, Effect.delay(run, 2), Effect.delay(FiberHandle.clear(handle), 2))
      yield* run
    })
    yield* Effect.scoped(program)
    yield* running()
  }),
  "Effect.cached": Effect.gen(function* () {
    const { running, task } = tasks()
    let runs = 0
    const get = yield* Effect.cached(
      Effect.andThen(
        task(1),
        Effect.suspend(() => Effect.succeed(++runs))
      )
    )
    yield* together(get, Effect.timeoutOption(get, 5), get)
    yield* must((yield* get) === 1, `${runs} runs`)
    yield* running()
  }),
  "Effect.cachedInvalidateWithTTL": Effect.gen(function* () {
    const { running, task } = tasks()
    const [get, invalidate] = yield* Effect.cachedInvalidateWithTTL(task(3), 4)
    yield* together(Effect.timeoutOption(get, 1), get, Effect.delay(get, 8), Effect.delay(invalidate, 2))
    yield* running()
  }),
  "raceAll, raceAllFirst and timeout": Effect.gen(function* () {
    const { running, task } = tasks()
    yield* Effect.raceAll([task(2), Effect.fail("refused"), task(2), task(3)])
    yield* running()
    yield* Effect.raceAllFirst([task(2), task(2), task(3)])
    yield* running()
    yield* Effect.timeoutOption(task(3), 3)
    yield* running()
  }),
  "forEach, of elements that do not wake each other": Effect.gen(function* () {
    const { running, task } = tasks()
    const step = (n: number) => Effect.as(task(n % 2), n)
    const given = yield* Effect.forEach([0, 1, 2, 3, 4], step, { concurrency: 2 })
    yield* must(String(given) === "0,1,2,3,4", `${given}`)
    const refuse = (n: number) => (n === 2 ? Effect.fail("refused") : task(n))
    yield* Effect.exit(Effect.forEach([3, 1, 2, 0, 1], refuse, { concurrency: 3 }))
    yield* running()
  }),
  "acquireUseRelease, acquireRelease and Scope": Effect.gen(function* () {
    const { acquire, isOpen, watch } = tracked()
    yield* watch
    const { running, task } = tasks()
    yield* Effect.acquireUseRelease(
      task(1),
      () => task(1),
      () => task(1)
    )
    yield* Effect.scoped(together(Effect.flatMap(acquire, isOpen), acquire).pipe(Effect.andThen(Effect.yieldNow)))
    const parallel = Effect.flatMap(Effect.scope, (outer) => Scope.fork(outer, "parallel"))
    yield* Effect.scoped(Effect.flatMap(parallel, (scope) => Scope.provide(together(acquire, acquire, acquire), scope)))
    yield* running()
  }),
  "Resource, when nobody gets it during a refresh": Effect.gen(function* () {
    const { acquire, isOpen, watch } = tracked()
    yield* watch
    const program = Effect.gen(function* () {
      const resource = yield* Resource.auto(acquire, Schedule.spaced(4))
      yield* together(Resource.refresh(resource), Effect.timeoutOption(Resource.refresh(resource), 1))
      yield* Effect.flatMap(Resource.get(resource), isOpen)
    })
    yield* Effect.scoped(program)
  }),
  SynchronizedRef: Effect.gen(function* () {
    const ref = yield* SynchronizedRef.make(0)
    const add = SynchronizedRef.updateEffect(ref, (n) => Effect.as(Effect.sleep(n), n + 1))
    yield* together(add, add, add, Effect.timeoutOption(Effect.andThen(Effect.sleep(1), add), 1))
    yield* must((yield* SynchronizedRef.get(ref)) >= 3, "an update is lost")
  }),
  SubscriptionRef: Effect.gen(function* () {
    const ref = yield* SubscriptionRef.make(0)
    const add = SubscriptionRef.updateEffect(ref, (n) => Effect.as(Effect.yieldNow, n + 1))
    const watch = Effect.gen(function* () {
      const seen = yield* Stream.runCollect(Stream.takeUntil(SubscriptionRef.changes(ref), (n) => n === 3))
      yield* must("0,1,2,3".endsWith(String(seen)), `it saw ${seen}`)
    })
    yield* together(watch, add, watch, add, add, watch)
  }),
  "Stream.mapEffect": mapsEach({ concurrency: 2 }),
  "Stream.mapEffect, unordered": mapsEach({ concurrency: 2, unordered: true }),
  "Stream.groupByKey": Effect.gen(function* () {
    const seen: Array<number> = []
    const note = (n: number) =>
      Effect.andThen(
        Effect.sleep(n % 3),
        Effect.sync(() => void seen.push(n))
      )
    const groups = Stream.groupByKey(Stream.rechunk(Stream.range(0, 5), 1), (n) => n % 2, { bufferSize: 1 })
    yield* Stream.runDrain(Stream.flatMap(groups, ([, group]) => Stream.tap(group, note), { concurrency: "unbounded" }))
    const even = seen.filter((n) => n % 2 === 0)
    yield* must(seen.length === 6 && String(even) === "0,2,4", `it gave ${seen}`)
  }),
  "Stream.merge": Effect.gen(function* () {
    const { running, task } = tasks()
    const some = (...all: ReadonlyArray<number>) =>
      Stream.mapEffect(Stream.fromIterable(all), (n) => Effect.as(task(1), n))
    const given = yield* Stream.runCollect(Stream.merge(some(1, 2), some(3, 4)))
    yield* must(String(given.sort()) === "1,2,3,4", `it gave ${given}`)
    yield* Stream.runDrain(Stream.take(Stream.merge(some(1, 2), some(3, 4)), 1))
    yield* Effect.exit(Stream.runDrain(Stream.merge(some(1, 2), Stream.fail("refused"))))
    yield* running()
  }),
  "Stream.buffer": Effect.gen(function* () {
    const source = Stream.tap(Stream.rechunk(Stream.range(0, 3), 1), (n) => Effect.sleep(n % 2))
    for (const capacity of [1, 2]) {
      const given = yield* Stream.runCollect(Stream.tap(Stream.buffer(source, { capacity }), () => Effect.yieldNow))
      yield* must(String(given) === "0,1,2,3", `it gave ${given}`)
    }
    const sliding = Stream.buffer(source, { capacity: 1, strategy: "sliding" })
    yield* must((yield* Stream.runCollect(sliding)).at(-1) === 3, "the last is lost")
  }),
  "Stream.debounce": Effect.gen(function* () {
    const source = Stream.tap(Stream.rechunk(Stream.range(0, 4), 1), (n) => Effect.sleep(n === 2 ? 5 : 1))
    const given = yield* Stream.runCollect(Stream.debounce(source, 3))
    yield* must(String(given) === "1,4", `it gave ${given}`)
  }),
  "Stream.broadcastN": Effect.gen(function* () {
    const source = Stream.tap(Stream.rechunk(Stream.range(0, 3), 1), () => Effect.yieldNow)
    const program = Effect.gen(function* () {
      const [all, one] = yield* Stream.broadcastN(source, { n: 2, capacity: 1 })
      const both = [Stream.runCollect(all), Stream.runCollect(Stream.take(one, 1))]
      yield* must(String(yield* Effect.all(both, { concurrency: 2 })) === "0,1,2,3,0", "an element is lost")
    })
    yield* Effect.scoped(program)
  }),
  "Stream.share of what takes its time": Effect.gen(function* () {
    const { running, task } = tasks()
    const source = Stream.mapEffect(Stream.range(0, 3), (n) => Effect.as(task(1), n))
    const program = Effect.gen(function* () {
      const stream = yield* Stream.share(source, { capacity: 2, idleTimeToLive: 2 })
      const all = Effect.flatMap(Stream.runCollect(stream), (given) => must(String(given) === "0,1,2,3", `${given}`))
      yield* together(all, Effect.timeoutOption(Stream.runDrain(stream), 2), Effect.delay(Stream.runDrain(stream), 1))
    })
    yield* Effect.scoped(program)
    yield* running()
  })
}

const isClean = <A, E>(run: Sim.Run<A, E>): unknown => {
  const defect = Exit.isFailure(run.exit) && run.exit.cause.reasons.some((reason) => reason._tag === "Die")
  return defect ? run.exit : Leaks.check(run)
}

describe("what holds, in every order and interrupted anywhere", () => {
  it.effect.each(Object.entries(holds))("%s", ([, program]) =>
    Effect.gen(function* () {
      yield* Interrupt.everywhere(program)
      yield* Sim.explore(program, { schedules, check: isClean, stop: "interrupt" })
    })
  )
})
