/** Effects start when their turn comes, and are not even asked for before: in every order, and wherever that is cut short. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { Deadline, Joiner, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { cancelledAfter, conforms, defectOf, failsAfter, failuresOf, interruptionsOf } from "../conformance/support.ts"

const runOf = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
const exitOf = <A, E>(effect: Effect.Effect<A, E>) => runOf(effect).exit

/** So many effects that give their number, one after another, and what becomes of them. */
class Shelf implements Iterable<Effect.Effect<number>> {
  readonly starts: Array<number> = []
  asked = 0
  ended = 0
  running = 0
  most = 0
  /** The most that were asked for and had not ended. */
  ahead = 0
  returned = 0
  readonly count: number
  readonly item: (n: number) => Effect.Effect<unknown>
  readonly onAsk: (n: number) => void
  readonly onReturn: () => void

  constructor(count: number, options: Partial<Pick<Shelf, "item" | "onAsk" | "onReturn">> = {}) {
    this.count = count
    this.item = options.item ?? ((n) => (n % 3 === 0 ? Effect.yieldNow : Effect.sleep(1 + (n % 2))))
    this.onAsk = options.onAsk ?? (() => {})
    this.onReturn = options.onReturn ?? (() => {})
  }

  [Symbol.iterator](): Iterator<Effect.Effect<number>> {
    return {
      next: () => {
        const n = this.asked
        this.onAsk(n)
        if (n === this.count) return { done: true, value: undefined }
        this.asked += 1
        this.ahead = Math.max(this.ahead, this.asked - this.ended)
        return { done: false, value: this.effect(n) }
      },
      return: () => {
        this.returned += 1
        this.onReturn()
        return { done: true, value: undefined }
      }
    }
  }

  private effect(n: number): Effect.Effect<number> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        this.starts.push(n)
        this.most = Math.max(this.most, ++this.running)
      }),
      () => Effect.as(this.item(n), n),
      () =>
        Effect.sync(() => {
          this.running -= 1
          this.ended += 1
        })
    )
  }
}

const limit = 2
const count = 5
const options = { limit }
const numbers = [0, 1, 2, 3, 4]

interface Case {
  readonly join: (shelf: Shelf) => Effect.Effect<unknown, unknown>
  readonly value: (value: unknown) => void
  /** Whether it counts its effects before the first starts, and whether it needs all of them. */
  readonly counts?: true
  readonly needsAll?: true
}

const sorted = (value: unknown) => (value as Array<number>).toSorted((one, other) => one - other)

const cases: Record<string, Case> = {
  all: {
    join: (shelf) => Joiner.all(shelf, options),
    value: (value) => expect(value).toEqual(numbers),
    needsAll: true
  },
  settle: {
    join: (shelf) => Joiner.settle(shelf, options),
    value: (value) => expect(value).toEqual(numbers.map((n) => Exit.succeed(n))),
    counts: true,
    needsAll: true
  },
  race: { join: (shelf) => Joiner.race(shelf, options), value: (value) => expect(numbers).toContain(value) },
  first: { join: (shelf) => Joiner.first(shelf, options), value: (value) => expect(numbers).toContain(value) },
  quorum: {
    join: (shelf) => Joiner.quorum(shelf, 3, options),
    value: (value) => expect(new Set(value as Array<number>).size).toBe(3),
    counts: true
  },
  until: {
    join: (shelf) => Joiner.until(shelf, (n) => n === 3, options),
    value: (value) => expect((value as Array<number>).at(-1)).toBe(3)
  },
  completed: {
    join: (shelf) => Stream.runCollect(Joiner.completed(shelf, options)),
    value: (value) => expect(sorted(value)).toEqual(numbers),
    needsAll: true
  },
  by: {
    join: (shelf) =>
      Joiner.by(
        shelf,
        {
          decide: (_, ended) => (ended.length === 4 ? Effect.succeed(ended.map(({ index }) => index)) : undefined),
          otherwise: () => Effect.succeed([])
        },
        options
      ),
    value: (value) => expect(new Set(value as Array<number>).size).toBe(4)
  }
}
const names = Object.keys(cases)
const lazy = names.filter((name) => cases[name]!.counts === undefined)

/** What holds of each run of a joiner, however it ends. */
const holds =
  (shelf: Shelf, { counts, needsAll, value }: Case) =>
  (run: Sim.Run<unknown, unknown>) => {
    expect(run.left).toEqual({ fibers: [], timers: 0, scopes: 0, lent: [] })
    // Each once at most, and never more than the limit. They are asked for in order.
    expect(new Set(shelf.starts).size).toBe(shelf.starts.length)
    expect(shelf.most).toBeLessThanOrEqual(limit)
    expect(shelf.running).toBe(0)
    if (counts === undefined) {
      expect(shelf.ahead).toBeLessThanOrEqual(limit)
      expect(shelf.returned).toBeLessThanOrEqual(1)
      if (shelf.asked > 0 && shelf.asked < count) expect(shelf.returned).toBe(1)
    }
    if (Exit.isSuccess(run.exit)) {
      value(run.exit.value)
      if (needsAll === true) expect(sorted(shelf.starts)).toEqual(numbers)
    } else {
      expect(run.stopped).toBe(true)
      expect(interruptionsOf(run.exit)).toBe(1)
      expect(failuresOf(run.exit)).toEqual([])
    }
  }

describe.each(names)("%s with a limit", (name) => {
  const one = cases[name]!
  let shelf = new Shelf(count)
  const subject = Effect.suspend(() => one.join((shelf = new Shelf(count))))
  const check = (run: Sim.Run<unknown, unknown>) => holds(shelf, one)(run)

  it(
    "S20 starts each effect once at most, in order and within the limit, in every order of events",
    { timeout: 120_000 },
    () => {
      Effect.runSync(Sim.explore(subject, { granularity: "op", schedules: 1000, check }))
    }
  )

  it("S20 loses nothing wherever it is interrupted", { timeout: 120_000 }, () => {
    Effect.runSync(Interrupt.everywhere(subject, { check }))
    Effect.runSync(Sim.explore(subject, { granularity: "op", schedules: 500, check, stop: "interrupt" }))
  })
})

it("S20 hedge starts no attempt beyond its limit, in every order of events", { timeout: 120_000 }, () => {
  let shelf = new Shelf(count)
  const subject = Effect.suspend(() => {
    shelf = new Shelf(count, { item: (n) => (n < 2 ? Effect.delay(Effect.die("down"), 5) : Effect.sleep(3)) })
    const attempts = shelf[Symbol.iterator]()
    const effect = Effect.suspend(() => attempts.next().value as Effect.Effect<number>)
    return Joiner.hedge(effect, { after: 1, max: 4, limit: 2 })
  })
  const check = (run: Sim.Run<number, unknown>) => {
    expect(shelf.most).toBeLessThanOrEqual(2)
    expect(shelf.running).toBe(0)
    expect(new Set(shelf.starts).size).toBe(shelf.starts.length)
    if (!run.stopped) expect(Exit.isSuccess(run.exit) && run.exit.value).toBeGreaterThanOrEqual(2)
  }
  Effect.runSync(Sim.explore(subject, { granularity: "op", schedules: 1000, check }))
  Effect.runSync(Interrupt.everywhere(subject, { check }))
})

describe("effects that wait for their turn", () => {
  it.each(lazy)("S26 are not asked for by %s before it, and are no tasks", (name) => {
    const tasks: Array<number> = []
    const shelf = new Shelf(count, {
      item: () =>
        Effect.delay(
          Effect.map(TaskGroup.tree, ({ groups: [group] }) => void tasks.push(group!.tasks.length - 1)),
          1
        )
    })
    exitOf(cases[name]!.join(shelf))
    expect(shelf.ahead).toBe(limit)
    expect(Math.max(...tasks)).toBe(limit)
  })

  it("S20 may be of no end where a result does not need all of them", () => {
    const endless = () => new Shelf(Infinity)
    expect(exitOf(Joiner.race(endless(), options))).toEqual(Exit.succeed(0))
    expect(exitOf(Joiner.until(endless(), (n) => n === 100, options)).pipe(Exit.map((all) => all.length))).toEqual(
      Exit.succeed(101)
    )
    const shelf = endless()
    const taken = Stream.runCollect(Stream.take(Joiner.completed(shelf, options), 10))
    expect(Exit.isSuccess(exitOf(taken))).toBe(true)
    expect([shelf.returned, shelf.running]).toEqual([1, 0])
  })

  // Virtual time would stand still: it is the event loop of the process that has to get its turn.
  it.live("S26 let timers and other tasks in, though all of them are ready", () =>
    Effect.gen(function* () {
      const endless = Iterator.from({ next: () => ({ value: Effect.fail("again") }) })
      const error = yield* Effect.flip(Joiner.first(endless, { limit: 4, within: "20 millis" }))
      expect(error).toBeInstanceOf(Deadline.DeadlineExceeded)
    })
  )

  it.each([undefined, 1, 16])(
    "S26 cost no stack where 100,000 of them are ready, limit %s",
    { timeout: 120_000 },
    (limit) => {
      const effects = Array.from({ length: 100_000 }, (_, index) => Effect.succeed(index))
      const options = { limit }
      return Effect.runPromise(
        Effect.gen(function* () {
          expect((yield* Joiner.all(effects, options)).length).toBe(100_000)
          expect((yield* Joiner.quorum(effects, 50_000, options)).length).toBe(50_000)
          const failing = effects.map((effect) => Effect.flip(effect))
          expect(TaskGroup.dropped(yield* Effect.flip(Effect.sandbox(Joiner.first(failing, options))))).toBe(99_900)
        })
      )
    }
  )

  it("S20 may need others to end: of joiners inside of joiners each has its own turns", () => {
    const inner = (n: number) => Joiner.all([Effect.succeed(n), Effect.delay(Effect.succeed(n), 1)], { limit: 1 })
    const program = Joiner.all([1, 2, 3].map(inner), { limit: 1 })
    expect(exitOf(program)).toEqual(
      Exit.succeed([
        [1, 1],
        [2, 2],
        [3, 3]
      ])
    )
  })

  it("S20 may wait for what an effect before them has spawned, or wakes", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const ready = yield* Deferred.make<string>()
        const server = Effect.andThen(Effect.sleep(5), Deferred.succeed(ready, "up"))
        const effects = [TaskGroup.spawn(server), Deferred.await(ready), Effect.succeed("last")]
        return (yield* Joiner.all(effects, { limit: 1 })).slice(1)
      })
    )
    expect(exitOf(program)).toEqual(Exit.succeed(["up", "last"]))
  })
})

describe("what is cut short in the middle", () => {
  const slow = (n: number) => Effect.sleep(4 + (n % 2))
  const needMore = names.filter((name) => name !== "race" && name !== "first")

  it.each(needMore.filter((name) => name !== "settle"))(
    "S20 %s starts nothing after its deadline, and has told the iterator",
    (name) => {
      const shelf = new Shelf(count, { item: slow })
      const program = Deadline.within(cases[name]!.join(shelf), 6, { name: "outer" })
      const run = runOf(program)
      expect(Exit.isFailure(run.exit) && Cause.squash(run.exit.cause)).toBeInstanceOf(Deadline.DeadlineExceeded)
      expect([shelf.starts.length, shelf.running]).toEqual([4, 0])
      if (cases[name]!.counts === undefined) expect(shelf.returned).toBe(1)
    }
  )

  conforms(
    "S20 all within a time starts nothing when it has passed, and waits for what runs",
    ({ works }) => {
      const effects = ["a", "b", "c", "d"].map((name) => works(name, 10, { cleanup: 2 }))
      return Joiner.all(effects, { limit: 1, within: 15 })
    },
    ({ failures, log, time }) => {
      expect(failures).toEqual(["unknown: DeadlineExceeded"])
      expect(log).toEqual(["a done", "b cancelled"])
      expect(time).toBe(17)
    }
  )

  it("S20 settle within a time says of each that was not started that it was the deadline", () => {
    const shelf = new Shelf(count, { item: slow })
    const exit = exitOf(Joiner.settle(shelf, { limit: 2, within: 6 }))
    const exits = Exit.isSuccess(exit) ? exit.value : []
    expect(exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : "late"))).toEqual([0, 1, "late", "late", "late"])
    expect(shelf.starts).toEqual([0, 1, 2, 3])
  })

  it.each(lazy)("S20 %s that is cancelled from outside starts nothing more, and has told the iterator", (name) => {
    const shelf = new Shelf(count, { item: slow })
    const exit = exitOf(cancelledAfter(cases[name]!.join(shelf), 2))
    expect(Exit.isSuccess(exit) && Exit.hasInterrupts(exit.value)).toBe(true)
    expect([shelf.starts, shelf.running, shelf.returned]).toEqual([[0, 1], 0, 1])
  })

  it.each(needMore)(
    "S20 %s dies of an iterator that throws, when what ran has been cancelled and has cleaned up",
    (name) => {
      const { counts, join } = cases[name]!
      const shelf = new Shelf(count, {
        // The first leaves its turn to what throws.
        item: (n) => (n === 0 ? Effect.yieldNow : Effect.never),
        onAsk: (n) => {
          if (n === 2) throw new TypeError("no third")
        }
      })
      const { exit } = runOf(join(shelf))
      expect(String(defectOf(exit))).toContain("no third")
      // One that throws has ended, and is not told.
      expect([shelf.running, shelf.returned]).toEqual([0, 0])
      if (counts === true) expect(shelf.starts).toEqual([])
    }
  )

  it.each(lazy)("S20 %s is swept clean where its iterator throws, whatever the order", { timeout: 60_000 }, (name) => {
    let shelf = new Shelf(count)
    const subject = Effect.suspend(() => {
      const onAsk = (n: number) => {
        if (n === 1) throw new TypeError("no second")
      }
      shelf = new Shelf(count, { item: () => Effect.never, onAsk })
      return cases[name]!.join(shelf)
    })
    const check = (run: Sim.Run<unknown, unknown>) => {
      expect(run.left).toEqual({ fibers: [], timers: 0, scopes: 0, lent: [] })
      expect([shelf.running, shelf.starts.length <= 1]).toEqual([0, true])
      if (!run.stopped) expect(String(defectOf(run.exit))).toContain("no second")
    }
    Effect.runSync(Sim.explore(subject, { granularity: "op", schedules: 200, check }))
    Effect.runSync(Interrupt.everywhere(subject, { check }))
  })

  it("S20 a joiner that has its result tells the iterator, whose own defect is not lost", () => {
    const shelf = new Shelf(count)
    expect(exitOf(Joiner.race(shelf, options))).toEqual(Exit.succeed(0))
    expect(shelf.returned).toBe(1)
    const angry = new Shelf(count, {
      onReturn: () => {
        throw new TypeError("not now")
      }
    })
    expect(String(defectOf(exitOf(Joiner.race(angry, options))))).toContain("not now")
  })

  it("S20 an iterator may cancel its joiner while it is asked: it is told when it has answered", () => {
    const log: Array<string> = []
    const program = Effect.withFiber((fiber) => {
      function* effects() {
        try {
          yield Effect.ensuring(
            Effect.yieldNow,
            Effect.sync(() => log.push("first ended"))
          )
          fiber.interruptUnsafe()
          yield Effect.sync(() => log.push("started"))
        } finally {
          log.push("told")
        }
      }
      return Joiner.all(effects(), { limit: 1 })
    })
    const { exit } = runOf(program)
    expect([interruptionsOf(exit), failuresOf(exit)]).toEqual([1, []])
    expect(log).toEqual(["first ended", "told"])
  })

  it("S20 an iterator that throws while it cancels its joiner is still heard", () => {
    const program = Effect.withFiber((fiber) => {
      const shelf = new Shelf(count, {
        onAsk: (n) => {
          if (n < 2) return
          fiber.interruptUnsafe()
          throw new TypeError("and no more")
        }
      })
      return Joiner.all(shelf, options)
    })
    const { exit } = runOf(program)
    expect(interruptionsOf(exit)).toBe(1)
    expect(String(defectOf(exit))).toContain("and no more")
  })
})

describe("by", () => {
  /** The first value that two of them give. */
  const twoThatAgree = <A, E, R>(effects: Iterable<Effect.Effect<A, E, R>>, options?: { readonly limit?: number }) =>
    Joiner.by(
      effects,
      {
        decide: ({ exit }, ended) =>
          Exit.isSuccess(exit) &&
          ended.filter((other) => Exit.isSuccess(other.exit) && other.exit.value === exit.value).length === 2
            ? exit
            : undefined,
        otherwise: (_, failures) => Effect.andThen(failures, Effect.fail("no two agree"))
      },
      options
    )

  conforms(
    "S20 gives what the rule decides, and cancels the others and waits for their cleanup",
    ({ works }) => twoThatAgree([works("a", 1), works("b", 2), works("slow", 50, { cleanup: 5 }), works("b", 10)]),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("b"))
      expect(log).toEqual(["a done", "b done", "b done", "slow cancelled"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "S20 asks what it is otherwise when all have ended, with what has failed",
    () => twoThatAgree([failsAfter(2, "two"), Effect.succeed("a"), failsAfter(1, "one")]),
    ({ failures }) => expect(failures).toEqual(["2: one", "0: two"])
  )

  it("S20 of nothing asks what it is otherwise, once, and does not wait", () => {
    let asked = 0
    const none = {
      decide: () => undefined,
      otherwise: (ended: ReadonlyArray<unknown>) => Effect.sync(() => [++asked, ended])
    }
    expect(exitOf(Joiner.by([], none))).toEqual(Exit.succeed([1, []]))
    expect(exitOf(Joiner.by({}, none, { limit: 1, within: "1 second" }))).toEqual(Exit.succeed([2, []]))
  })

  it("S20 tells the rule the index, the name and the exit of each, in the order of ending", () => {
    const ends: Array<unknown> = []
    const program = Joiner.by(
      { slow: Effect.delay(Effect.succeed(1), 5), bad: failsAfter(1, "no") },
      {
        decide: (end, ended) => {
          ends.push(end, ended.length)
          return undefined
        },
        otherwise: (ended) => Effect.succeed(ended.map(({ name }) => name))
      }
    )
    expect(exitOf(program)).toEqual(Exit.succeed(["bad", "slow"]))
    expect(ends).toEqual([
      { index: 1, name: "bad", exit: Exit.fail("no") },
      1,
      { index: 0, name: "slow", exit: Exit.succeed(1) },
      2
    ])
  })

  it("S20 a defect of a loser is not dropped, and its failure is", () => {
    const race = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
      Joiner.by(effects, { decide: ({ exit }) => exit, otherwise: () => Effect.die("nothing") })
    const torn = Effect.onInterrupt(Effect.never, () => Effect.die("torn"))
    const late = Effect.uninterruptible(failsAfter(5, "late"))
    expect(failuresOf(exitOf(race([Effect.delay(Effect.succeed(1), 1), torn, late])))).toEqual(["1: torn"])
    expect(failuresOf(exitOf(race([failsAfter(1, "no"), torn, late])))).toEqual(["unknown: no", "1: torn"])
    expect(exitOf(race([Effect.delay(Effect.succeed(1), 1), late]))).toEqual(Exit.succeed(1))
  })

  it("S20 a defect stays one where the rule puts up with every failure", () => {
    const torn = Effect.onInterrupt(Effect.never, () => Effect.die("torn"))
    const program = Joiner.by([Effect.delay(Effect.succeed(1), 1), torn], {
      decide: () => Effect.succeed("enough"),
      otherwise: (_, failures) => Effect.ignore(failures)
    })
    expect(failuresOf(exitOf(program))).toEqual(["1: torn"])
  })

  conforms(
    "S20 a rule that throws is a defect, when the others have been cancelled and have cleaned up",
    ({ works }) =>
      Joiner.by([works("a", 1), works("b", 50, { cleanup: 5 })], {
        decide: (): undefined => {
          throw new RangeError("no rule")
        },
        otherwise: () => Effect.succeed("not asked")
      }),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["0: RangeError"])
      expect(log).toEqual(["a done", "b cancelled"])
      expect(time).toBe(6)
    }
  )

  it("S20 so is one that throws when it is asked for what it is otherwise", () => {
    const program = Joiner.by([Effect.succeed(1)], {
      decide: () => undefined,
      otherwise: (): Effect.Effect<number> => {
        throw new RangeError("no result")
      }
    })
    expect(String(defectOf(exitOf(program)))).toContain("no result")
  })

  it("S20 the result is an effect of the caller: it can be cancelled, and what it spawns is the caller's", () => {
    const waits = Joiner.by([Effect.succeed(1)], { decide: () => Effect.never, otherwise: () => Effect.void })
    const exit = exitOf(cancelledAfter(waits, 5))
    expect(Exit.isSuccess(exit) && Exit.hasInterrupts(exit.value)).toBe(true)
    const spawns = Joiner.by([Effect.succeed(1)], {
      decide: () => TaskGroup.spawn(Effect.delay(Effect.fail("late"), 5)),
      otherwise: () => Effect.die("nothing")
    })
    expect(exitOf(Effect.flip(TaskGroup.open(spawns)))).toEqual(Exit.succeed("late"))
  })

  it("S20 takes limit, name and within as every joiner does", () => {
    const never = { decide: () => undefined, otherwise: () => Effect.succeed("all") }
    const late = exitOf(Joiner.by([Effect.never, failsAfter(1, "no")], never, { name: "mine", within: 10 }))
    expect(failuresOf(late)).toEqual(["unknown: DeadlineExceeded", "1: no"])
    expect(String(Exit.isFailure(late) && Cause.squash(late.cause))).toContain('"mine"')
    expect(String(defectOf(exitOf(Joiner.by([], never, { limit: 0 }))))).toContain("limit must be a whole number")
  })
})
