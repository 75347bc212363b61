/** Limiters by key, and several as one: what they promise under every order. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Limiter } from "skein"
import { chance } from "../../src/testing/sim/Decider.ts"
import { Choices, Interrupt, Leaks, Sim } from "skein/testing"

const schedules = process.env["SKEIN_DEEP"] === undefined ? 1000 : 20_000

const value = <A>(effect: Effect.Effect<A, unknown>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

/** Counts who runs for each key, and how many limiters of a key are in use. */
class Watched {
  most = 0
  readonly running = new Map<string, number>()
  readonly work = (key: string, effect: Effect.Effect<void> = Effect.yieldNow) =>
    Effect.suspend(() => {
      const now = (this.running.get(key) ?? 0) + 1
      this.running.set(key, now)
      this.most = Math.max(this.most, now)
      return Effect.ensuring(
        effect,
        Effect.sync(() => this.running.set(key, this.running.get(key)! - 1))
      )
    })
}

const notMore = (watched: Watched, hosts: Limiter.Keyed<string>) =>
  Effect.gen(function* () {
    if (watched.most > 1) return yield* Effect.fail(`${watched.most} at once`)
    const kept = (yield* hosts.stats).size
    if (kept > 0) return yield* Effect.fail(`${kept} keys kept`)
  })

/** All orders there is time for, then cancelled wherever it can be. */
const holds = (program: Effect.Effect<unknown, unknown>, { sweep = true } = {}) => {
  Effect.runSync(Sim.explore(program, { granularity: "op", schedules }))
  if (sweep) Effect.runSync(Interrupt.everywhere(program, { check: Leaks.check }))
}

describe("Limiter.perKey", { timeout: 300_000 }, () => {
  it("S30 perKey: never two at once for a key, whatever the order", () => {
    const program = Effect.gen(function* () {
      const watched = new Watched()
      const hosts = yield* Limiter.perKey((_: string) => Limiter.concurrency(1))
      const use = hosts.withPermit("a")(watched.work("a"))
      yield* Effect.all([use, use, Effect.andThen(use, use), use], { concurrency: "unbounded" })
      yield* notMore(watched, hosts)
    })
    holds(program)
    const short = Effect.gen(function* () {
      const watched = new Watched()
      const hosts = yield* Limiter.perKey((_: string) => Limiter.concurrency(1))
      const use = hosts.withPermit("a")(watched.work("a", Effect.void))
      yield* Effect.all([use, use, use], { concurrency: "unbounded" })
      yield* notMore(watched, hosts)
    })
    holds(short)
  })

  it("S30 perKey with two keys and a slow `make`: never two at once, no key kept", () => {
    const program = Effect.gen(function* () {
      const watched = new Watched()
      let making = 0
      const hosts = yield* Limiter.perKey((_: string) =>
        Effect.suspend(() => {
          making++
          return Effect.andThen(Effect.yieldNow, Limiter.concurrency(1))
        })
      )
      const use = (key: string) => hosts.withPermit(key)(watched.work(key))
      const one = Effect.andThen(use("a"), use("b"))
      const other = Effect.andThen(use("b"), use("a"))
      const tried = hosts.of("a").tryWithPermits(1)(watched.work("a"))
      yield* Effect.all([one, other, tried, use("a")], { concurrency: "unbounded" })
      yield* notMore(watched, hosts)
      if (making < 2) return yield* Effect.fail(`${making} made`)
    })
    holds(program)
  })

  it("S30 perKey whose users are cancelled, while they make, wait or run: never two at once, nobody lost", () => {
    const program = Effect.gen(function* () {
      const watched = new Watched()
      const hosts = yield* Limiter.perKey((_: string) =>
        Effect.andThen(Effect.delay(Effect.void, "1 second"), Limiter.concurrency(1))
      )
      const use = hosts.withPermit("a")(watched.work("a", Effect.sleep("1 second")))
      const fork = Effect.forkChild(use, { startImmediately: true })
      const others = yield* Effect.all([fork, Effect.forkChild(Interrupt.victim(use)), fork])
      yield* Fiber.awaitAll(others)
      for (const other of [others[0], others[2]]) yield* Fiber.join(other)
      yield* notMore(watched, hosts)
    })
    Effect.runSync(Sim.explore(program, { granularity: "op", schedules }))
    Effect.runSync(Interrupt.everywhere(program, { check: (run) => Effect.andThen(run.exit, Leaks.check(run)) }))
    Effect.runSync(Interrupt.everywhere(program, { target: "any", check: Leaks.check }))
  })

  it("S30 a `make` that fails fails its caller alone, and the next one makes it again", () => {
    const program = Effect.gen(function* () {
      const watched = new Watched()
      let made = 0
      const hosts = yield* Limiter.perKey((_: string) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => (++made <= 2 ? Effect.die(`broken ${made}`) : Limiter.concurrency(1)))
        )
      )
      const use = Effect.exit(hosts.withPermit("a")(watched.work("a")))
      const exits = yield* Effect.all([use, use, use, use], { concurrency: "unbounded" })
      const failed = exits.filter(Exit.isFailure).length
      // All may be gone before the next one comes: then it is made once more.
      if (failed !== 2) return yield* Effect.fail(`${failed} failed`)
      yield* notMore(watched, hosts)
    })
    holds(program)
  })

  it("S30 a `make` that asks for its own key is told so, and does not wait for itself", () => {
    const program = Effect.gen(function* () {
      const hosts: Limiter.Keyed<string> = yield* Limiter.perKey((key: string) =>
        hosts.withPermit(key)(Limiter.concurrency(1))
      )
      return yield* Effect.exit(hosts.withPermit("a")(Effect.void))
    })
    expect(String(value(program))).toContain("AlreadyHeld")
  })

  it("S30 a rate by key is kept until its tokens are back: no order spends more of them", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((_: string) => Limiter.rate({ limit: 1, per: "1 hour", burst: 2 }))
      let spent = 0
      const use = hosts.of("a").tryWithPermits(1)(Effect.sync(() => spent++))
      const look = hosts.stats
      yield* Effect.all([use, look, use, use, look, Effect.andThen(use, use)], { concurrency: "unbounded" })
      if (spent > 2) return yield* Effect.fail(`${spent} spent`)
      yield* Effect.sleep("2 hours")
      if ((yield* hosts.stats).size > 0) return yield* Effect.fail("kept")
    })
    holds(program)
  })

  it("S30 a key that was used while it was looked at is not forgotten for what it was before", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((_: string) =>
        Effect.map(Limiter.rate({ limit: 1, per: "1 hour" }), (rate) => ({
          withPermit: rate.withPermit,
          withPermits: (permits: number) => rate.withPermits(permits),
          tryWithPermits: (permits: number) => rate.tryWithPermits(permits),
          stats: Effect.tap(rate.stats, Effect.sleep("2 seconds"))
        }))
      )
      yield* Effect.forkChild(hosts.of("a").withPermits(0)(Effect.void), { startImmediately: true })
      yield* Effect.sleep("1 second")
      yield* hosts.withPermit("a")(Effect.void)
      yield* Effect.sleep("1 minute")
      return yield* hosts.of("a").tryWithPermits(1)(Effect.void)
    })
    expect(value(program)).toEqual(Option.none())
  })

  it("S30 perKey: one key that takes a day to be idle does not keep all the others", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((key: string) =>
        key === "daily" ? Limiter.rate({ limit: 1, per: "1 day" }) : Limiter.concurrency(1)
      )
      yield* hosts.withPermit("daily")(Effect.void)
      for (let i = 0; i < 1000; i++) yield* hosts.withPermit(`host ${i}`)(Effect.void)
      expect(Array.from((yield* hosts.stats).keys())).toEqual(["daily"])
      yield* Effect.sleep("1 day")
      expect((yield* hosts.stats).size).toBe(0)
    })
    value(program)
  })

  /** Rates by key, and how often one of them was asked whether it is idle. */
  const asked = (per: (key: string) => string) =>
    Effect.gen(function* () {
      const count = { asked: 0 }
      const counted = (limiter: Limiter.Limiter): Limiter.Limiter => ({
        withPermit: limiter.withPermit,
        withPermits: (permits) => limiter.withPermits(permits),
        tryWithPermits: (permits) => limiter.tryWithPermits(permits),
        stats: Effect.tap(limiter.stats, () => Effect.sync(() => count.asked++))
      })
      const hosts = yield* Limiter.perKey((key: string) =>
        Effect.map(Limiter.rate({ limit: 1, per: per(key) as "1 second" }), counted)
      )
      /** How many keys are kept: each is asked once. */
      const kept = Effect.suspend(() => {
        const before = count.asked
        return Effect.map(hosts.stats, () => count.asked - before)
      })
      return { count, hosts, kept }
    })

  it("S30 keys that become idle with time are forgotten by the uses of others, a few at each", () => {
    const program = Effect.gen(function* () {
      const { count, hosts, kept } = yield* asked((key) => (key.startsWith("quick") ? "1 second" : "1 day"))
      const use = (name: string, times: number) =>
        Effect.forEach(Array.from({ length: times }), (_, i) => hosts.withPermit(`${name} ${i}`)(Effect.void))
      yield* use("slow", 50)
      yield* use("quick", 1000)
      yield* Effect.sleep("1 second")
      const before = count.asked
      yield* use("late", 400)
      expect(count.asked - before).toBeLessThanOrEqual(400 * 5)
      return yield* kept
    })
    expect(value(program)).toBe(450)
  })

  it("S30 are forgotten at the same uses, whether a limiter tells at once or has to be asked", () => {
    const asking = (inner: Limiter.Limiter): Limiter.Limiter => ({
      withPermit: (effect) => inner.withPermit(effect),
      withPermits: (permits) => inner.withPermits(permits),
      tryWithPermits: (permits) => inner.tryWithPermits(permits),
      stats: inner.stats
    })
    const kinds: ReadonlyArray<() => Effect.Effect<Limiter.Limiter>> = [
      () => Limiter.concurrency(2),
      () => Limiter.rate({ limit: 1, per: "1 second", burst: 3 }),
      () => Limiter.adaptive({ min: 1, max: 2 }),
      () => Effect.map(Limiter.rate({ limit: 1, per: "3 seconds" }), (rate) => Limiter.all(rate)),
      () =>
        Effect.map(
          Limiter.perKey(() => Limiter.concurrency(1)),
          (keyed) => keyed.of("inner")
        )
    ]
    /** At which of the uses which limiter was made anew, as its key was forgotten. */
    const made = (seed: number, as: (inner: Limiter.Limiter) => Limiter.Limiter) => {
      const next = chance(seed)
      const below = (n: number) => Math.floor(next() * n)
      const log: Array<string> = []
      return value(
        Effect.gen(function* () {
          const hosts = yield* Limiter.perKey((key: number) => {
            log.push(`made ${key}`)
            return Effect.map(kinds[key % kinds.length]!(), as)
          })
          for (let i = 0; i < 60; i++) {
            log.push(`use ${i}`)
            yield* hosts.withPermit(below(12))(Effect.void)
            if (below(3) === 0) yield* Effect.sleep(below(4000))
          }
          return log
        })
      )
    }
    for (let seed = 1; seed <= 15; seed++) expect(made(seed, (inner) => inner)).toEqual(made(seed, asking))
  })

  it("S30 keeps no more than what is in use or not idle yet, and a few, however long it runs", () => {
    const program = Effect.gen(function* () {
      const { hosts, kept } = yield* asked(() => "10 millis")
      for (let i = 0; i < 5000; i++) yield* Effect.andThen(hosts.withPermit(`key ${i}`)(Effect.void), Effect.sleep(1))
      return yield* kept
    })
    // Ten of them are not idle yet.
    expect(value(program)).toBeLessThanOrEqual(15)
  })
})

describe("trying several at once", { timeout: 300_000 }, () => {
  const rateOf = (burst = 5) => Limiter.rate({ limit: 5, per: "1 hour", burst })
  const inUse = (limiter: Limiter.Limiter) => Effect.map(limiter.stats, (stats) => stats.inUse)

  it("S30 all(rate, slots).tryWithPermits that gives none spends no token of the rate", () => {
    const program = Effect.gen(function* () {
      const [rate, slots] = [yield* rateOf(), yield* Limiter.concurrency(1)]
      const both = Limiter.all(rate, slots)
      yield* Effect.forkChild(slots.withPermit(Effect.never), { startImmediately: true })
      for (let i = 0; i < 5; i++) expect(yield* both.tryWithPermits(1)(Effect.die("ran"))).toEqual(Option.none())
      return yield* inUse(rate)
    })
    expect(value(program)).toBe(0)
  })

  /** All orders of three. */
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0]
  ] as const

  it("S30 of three, any of which refuses, in any order, nested, by key and adaptive: nothing is spent", () => {
    for (const order of orders) {
      for (const refusing of [0, 1, 2]) {
        const program = Effect.gen(function* () {
          const rates = yield* Limiter.perKey((_: string) => rateOf())
          const parts = [rates.of("a"), yield* Limiter.adaptive({ min: 2, max: 2 }), yield* Limiter.bytes(2)]
          // Keeps the key, so that it is seen what is spent of it.
          yield* Effect.forkChild(parts[0]!.withPermits(1)(Effect.never), { startImmediately: true })
          const [first, second, third] = order.map((index) => parts[index]!) as [
            Limiter.Limiter,
            Limiter.Limiter,
            Limiter.Limiter
          ]
          const taken = refusing === 0 ? 4 : 2
          yield* Effect.forkChild(parts[refusing]!.withPermits(taken)(Effect.never), { startImmediately: true })
          const before = yield* Effect.forEach(parts, inUse)
          for (const all of [
            Limiter.all(first, second, third),
            Limiter.all(first, Limiter.all(second, third)),
            Limiter.all(Limiter.all(first, second), Limiter.all(), third)
          ]) {
            expect(yield* all.tryWithPermits(1)(Effect.die("ran"))).toEqual(Option.none())
            expect(yield* Effect.forEach(parts, inUse)).toEqual(before)
          }
        })
        value(program)
      }
    }
  })

  it("S30 holds all while it runs, and gives all back however it ends", () => {
    for (const end of [Effect.void, Effect.fail("no"), Effect.die("broken"), Effect.interrupt]) {
      const program = Effect.gen(function* () {
        const slots = yield* Effect.all([
          Limiter.concurrency(2),
          Limiter.adaptive({ min: 2, max: 2 }),
          Limiter.bytes(3)
        ])
        const all = Limiter.all(...slots)
        let held: ReadonlyArray<number> = []
        const look = Effect.map(Effect.forEach(slots, inUse), (used) => void (held = used))
        yield* Effect.exit(all.tryWithPermits(2)(Effect.andThen(look, end)))
        expect(held).toEqual([2, 2, 2])
        expect(yield* Effect.forEach(slots, inUse)).toEqual([0, 0, 0])
      })
      value(program)
    }
  })

  it("S30 nothing is spent where one of them dies, as what cannot be asked for", () => {
    const program = Effect.gen(function* () {
      const rate = yield* rateOf()
      const twice = yield* Limiter.concurrency(2)
      const exits = [
        yield* Effect.exit(Limiter.all(rate, twice, twice).tryWithPermits(1)(Effect.void)),
        yield* Effect.exit(
          Limiter.all(rate, twice, yield* Limiter.adaptive({ min: 1, max: 9 })).tryWithPermits(2)(Effect.void)
        ),
        yield* Effect.exit(Limiter.all(rate, twice).tryWithPermits(0.5)(Effect.void))
      ]
      expect(exits.map(String)).toEqual([
        expect.stringContaining("AlreadyHeld"),
        expect.stringContaining("TooManyPermits"),
        expect.stringContaining("RangeError")
      ])
      return [yield* inUse(rate), yield* inUse(twice)]
    })
    expect(value(program)).toEqual([0, 0])
  })

  it("S30 one that is not of ours is asked first; if it takes and another refuses, ours spend nothing", () => {
    const program = Effect.gen(function* () {
      const inner = yield* rateOf()
      const foreign: Limiter.Limiter = {
        withPermit: inner.withPermit,
        withPermits: (permits) => inner.withPermits(permits),
        tryWithPermits: (permits) => inner.tryWithPermits(permits),
        stats: inner.stats
      }
      const [rate, slots] = [yield* rateOf(), yield* Limiter.concurrency(1)]
      const all = Limiter.all(rate, Limiter.all(slots, foreign))
      expect(yield* all.tryWithPermits(1)(inUse(slots))).toEqual(Option.some(1))
      yield* Effect.forkChild(slots.withPermit(Effect.never), { startImmediately: true })
      expect(yield* all.tryWithPermits(1)(Effect.die("ran"))).toEqual(Option.none())
      return [yield* inUse(rate), yield* inUse(slots)]
    })
    expect(value(program)).toEqual([1, 1])
  })

  it("S30 under every order, cancelled at every operation, as many tokens are spent as effects have run", () => {
    const program = Effect.gen(function* () {
      const rate = yield* rateOf(9)
      const keyed = yield* Limiter.perKey((_: string) => Effect.andThen(Effect.yieldNow, Limiter.concurrency(1)))
      const all = Limiter.all(rate, keyed.of("a"), yield* Limiter.adaptive({ min: 1, max: 1 }))
      let ran = 0
      const work = Effect.suspend(() => {
        ran++
        return Effect.flatMap(Choices.choose(3), (turns) => Effect.repeat(Effect.yieldNow, { times: turns }))
      })
      const tried = all.tryWithPermits(1)(work)
      const waited = all.withPermit(work)
      yield* Effect.all([tried, waited, tried, Effect.andThen(tried, tried)], { concurrency: "unbounded" })
      const spent = yield* inUse(rate)
      if (spent !== ran) return yield* Effect.fail(`${spent} spent, ${ran} run`)
      if ((yield* all.stats).inUse !== spent || (yield* keyed.stats).size > 0) return yield* Effect.fail("kept")
    })
    holds(program)
  })
})
