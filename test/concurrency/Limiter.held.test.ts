/** Who holds a permit: a piece of code with all it runs inside, and not a fiber. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Cancel, Deadline, Joiner, Limiter, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { Held } from "../../src/concurrency/limiter/Held.ts"

const value = <A>(effect: Effect.Effect<A, unknown>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

const defect = (effect: Effect.Effect<unknown, unknown>): unknown => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  return Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
}

type Around = (effect: Effect.Effect<void>) => Effect.Effect<unknown, unknown>

/** What runs an effect in a fiber that is not the one around. */
const hidden: Readonly<Record<string, Around>> = {
  "a deadline": Deadline.within("1 minute"),
  "a deadline that moves on": Deadline.moveOn("1 minute"),
  "a timeout": Effect.timeout("1 minute"),
  "a race": (effect) => Effect.raceFirst(effect, Effect.never),
  "one of several at once": (effect) => Effect.all([Effect.yieldNow, effect], { concurrency: "unbounded" }),
  "a fiber forked there": (effect) => Effect.flatMap(Effect.forkChild(effect), Fiber.join),
  "a shield with a deadline": (effect) => Cancel.shield(effect, { within: "1 minute" }),
  "the body of a group": (effect) => TaskGroup.open(effect),
  "a task of a group": (effect) => TaskGroup.open(Effect.flatMap(TaskGroup.spawn(effect), (task) => task.join)),
  "a task that is started": (effect) =>
    TaskGroup.open(TaskGroup.start((ready: (value: void) => Effect.Effect<void>) => Effect.andThen(effect, ready()))),
  "a joiner": (effect) => Joiner.all([Effect.yieldNow, effect]),
  "a deadline in a group in a race": (effect) =>
    Effect.raceFirst(TaskGroup.open(TaskGroup.spawn(Deadline.within(effect, "1 minute"))), Effect.never)
}

describe("a second permit", () => {
  for (const [name, around] of Object.entries(hidden)) {
    it(`S29 a second permit under ${name} in the same task is AlreadyHeld, and no endless wait`, () => {
      const makes: Readonly<Record<string, Effect.Effect<Limiter.Limiter>>> = {
        concurrency: Limiter.concurrency(1),
        adaptive: Limiter.adaptive({ min: 1, max: 1 }),
        "of a key": Effect.map(
          Limiter.perKey(() => Limiter.concurrency(1)),
          (hosts) => hosts.of("a")
        ),
        all: Effect.map(
          Effect.all([Limiter.rate({ limit: 10, per: "1 second", burst: 10 }), Limiter.concurrency(1)]),
          (both) => Limiter.all(...both)
        )
      }
      for (const make of Object.values(makes)) {
        const asking = (ask: (limiter: Limiter.Limiter) => Around) =>
          Effect.flatMap(make, (limiter) =>
            TaskGroup.open(
              limiter.withPermit(around(Effect.asVoid(ask(limiter)(Effect.void)) as Effect.Effect<void>)),
              {
                name: "orders"
              }
            )
          )
        const waiting = defect(asking((limiter) => limiter.withPermit))
        expect(waiting).toMatchObject({ _tag: "AlreadyHeld", task: "orders" })
        expect(String(waiting)).toContain("orders holds a permit of this limiter already")
        expect(defect(asking((limiter) => limiter.tryWithPermits(1)))).toMatchObject({ _tag: "AlreadyHeld" })
      }
    })
  }

  it("S29 a second permit in a group opened by the holder is AlreadyHeld, and fails the group", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const group = TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.never, { name: "sibling" })
          yield* TaskGroup.spawn(limiter.withPermit(Effect.void), { name: "second" })
          return yield* Effect.never
        })
      )
      return yield* TaskGroup.open(limiter.withPermit(group), { name: "holder" })
    })
    expect(defect(program)).toMatchObject({ _tag: "AlreadyHeld", task: "holder" })
  })

  it("S29 is given where there is one: in another fiber, beside what is held", () => {
    for (const around of Object.values(hidden)) {
      const program = Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(3)
        let most = 0
        const look = Effect.map(limiter.stats, ({ inUse }) => void (most = Math.max(most, inUse)))
        yield* limiter.withPermits(2)(around(limiter.withPermit(look)))
        yield* limiter.withPermits(2)(around(Effect.asVoid(limiter.tryWithPermits(1)(look))))
        expect((yield* limiter.stats).inUse).toBe(0)
        return most
      })
      expect(value(program)).toBe(3)
    }
    const tooMany = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(3)
      yield* limiter.withPermit(
        Deadline.within(limiter.withPermit(Deadline.within(limiter.withPermits(2)(Effect.void), 9)), 9)
      )
    })
    expect(defect(tooMany)).toMatchObject({ _tag: "AlreadyHeld" })
  })

  it("S29 is refused to one that waits for it when the limit shrinks to what is held around it", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(3)
      const other = yield* Effect.forkChild(limiter.withPermits(2)(Effect.never), { startImmediately: true })
      const inside = Deadline.within(limiter.withPermit(Effect.void), "1 minute")
      const nested = yield* Effect.forkChild(limiter.withPermit(inside), { startImmediately: true })
      expect((yield* limiter.stats).waiting).toBe(1)
      yield* limiter.resize(1)
      const exit = yield* Fiber.await(nested)
      yield* Fiber.interrupt(other)
      return yield* exit
    })
    expect(defect(program)).toMatchObject({ _tag: "AlreadyHeld" })
  })

  it("is one of each limiter: another one may be taken, and the same again when the first is given back", () => {
    const program = Effect.gen(function* () {
      const [a, b] = yield* Effect.all([Limiter.concurrency(1), Limiter.concurrency(1)])
      const nested = a.withPermit(Deadline.within(b.withPermit(Effect.void), "1 minute"))
      yield* nested
      yield* b.withPermit(Deadline.within(a.withPermit(Effect.void), "1 minute"))
      yield* Effect.exit(a.withPermit(Effect.fail("no")))
      yield* nested
    })
    value(program)
  })
})

describe("who does not hold a permit", () => {
  it("S29 siblings in one task wait for one another", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const one = limiter.withPermit(Effect.sleep("1 second"))
      yield* Effect.all([one, one, one], { concurrency: "unbounded" })
      yield* Joiner.all([one, one])
      return (yield* limiter.stats).inUse
    })
    expect(value(program)).toBe(0)
  })

  it("S29 a task that is spawned under a permit into a group outside waits until it is given back", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const order: Array<string> = []
      const say = (word: string) => Effect.sync(() => void order.push(word))
      yield* TaskGroup.open(
        Effect.andThen(
          limiter.withPermit(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(limiter.withPermit(say("task")))
              yield* Deadline.within(TaskGroup.spawn(limiter.withPermit(say("task of a deadline"))), "1 minute")
              yield* Effect.sleep("1 second")
              yield* say("holder")
            })
          ),
          say("body")
        )
      )
      return order
    })
    expect(value(program).toSorted()).toEqual(["body", "holder", "task", "task of a deadline"])
  })

  it("S29 a fiber that outlives the permit it was forked under", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const later = Effect.delay(limiter.withPermit(Effect.succeed("given")), "1 second")
      return yield* Fiber.join(yield* limiter.withPermit(Effect.forkChild(later)))
    })
    expect(value(program)).toBe("given")
  })

  it("S29 its finalizers, and what comes after, in the fiber that held it", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const before = yield* Effect.context<never>()
      const again = Effect.orDie(limiter.withPermit(Effect.void))
      yield* Effect.ensuring(limiter.withPermit(Effect.void), again)
      yield* Effect.ignore(Effect.ensuring(limiter.withPermit(Effect.fail("no")), again))
      expect(yield* limiter.tryWithPermits(1)(Effect.succeed(1))).toEqual(Option.some(1))
      expect(yield* Effect.context<never>()).toBe(before)
    })
    value(program)
  })

  it("S26 permits given back long ago are not kept by those who run on and on from one to the next", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(2)
      let longest = 0
      const generation = (left: number): Effect.Effect<void> =>
        Effect.gen(function* () {
          let length = 0
          for (let held = yield* Held; held !== undefined; held = held.outer) length++
          longest = Math.max(longest, length)
          // The next one takes its permit while this one is held.
          if (left > 0) yield* Effect.forkDetach(limiter.withPermit(generation(left - 1)), { startImmediately: true })
          yield* Effect.sleep(left % 2)
        })
      yield* limiter.withPermit(generation(200))
      yield* Effect.sleep("1 second")
      expect((yield* limiter.stats).inUse).toBe(0)
      return longest
    })
    expect(value(program)).toBeLessThan(5)
  })
})

describe("under every order, cancelled at every operation", () => {
  /** Tasks that take one permit of two, and a second one where it is there. */
  const program = Effect.gen(function* () {
    const limiter = yield* Limiter.concurrency(2)
    yield* Leaks.limiter(limiter)
    let running = 0
    const work = Effect.suspend(() => {
      if (++running > 2) return Effect.die(new Error(`${running} at once`))
      return Effect.ensuring(
        Effect.yieldNow,
        Effect.sync(() => running--)
      )
    })
    const inside = Deadline.within(limiter.tryWithPermits(1)(work), "1 minute")
    const outside = Effect.suspend(() => {
      running++
      return Effect.ensuring(
        inside,
        Effect.sync(() => running--)
      )
    })
    yield* TaskGroup.open(
      Effect.gen(function* () {
        for (const one of [
          limiter.withPermit(outside),
          limiter.withPermits(2)(work.pipe(Effect.tap(() => Effect.void)))
        ]) {
          yield* TaskGroup.spawn(Effect.orDie(one))
        }
        yield* Effect.orDie(limiter.withPermit(outside))
      })
    )
    yield* limiter.withPermits(2)(Effect.void)
  })

  it("S29 permits come back, and no more are held than there are", () => {
    Effect.runSync(Sim.explore(program, { granularity: "op", schedules: 1000 }))
    Effect.runSync(Interrupt.everywhere(program))
    Effect.runSync(Interrupt.everywhere(program, { target: "any", check: Leaks.check }))
  })

  it("S29 the second permit is AlreadyHeld in every order", () => {
    const refused = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      yield* Leaks.limiter(limiter)
      const second = Effect.exit(limiter.withPermit(Deadline.within(limiter.withPermit(Effect.void), "1 minute")))
      const exits = yield* Effect.all([second, second], { concurrency: "unbounded" })
      const held = exits.filter((exit) => String(exit).includes("AlreadyHeld"))
      if (held.length !== 2) return yield* Effect.fail(`refused ${held.length} of 2`)
    })
    Effect.runSync(Sim.explore(refused, { granularity: "op", schedules: 1000 }))
    Effect.runSync(Interrupt.everywhere(refused, { check: Leaks.check }))
  })
})
