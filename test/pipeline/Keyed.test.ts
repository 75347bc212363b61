/** P4 and P5 of a step with keys: order within a key, no wait for another one, and what becomes of a key that an element failed of. */
import { describe, expect } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Journal, Pipeline } from "skein"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { after, causeOf, endsWell, errorOf, numbers, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Sees what is worked on at once, of all keys and of each. */
const watch = () => {
  const working = new Map<number, number>()
  const seen = { most: 0, mostOfKey: 0, begun: [] as Array<number> }
  let all = 0
  const over =
    (keyOf: (n: number) => number) =>
    <A, E>(n: number, work: Effect.Effect<A, E>): Effect.Effect<A, E> => {
      const add = (by: number) => {
        const key = keyOf(n)
        const now = (working.get(key) ?? 0) + by
        working.set(key, now)
        all += by
        seen.most = Math.max(seen.most, all)
        seen.mostOfKey = Math.max(seen.mostOfKey, now)
      }
      return Effect.suspend(() => {
        seen.begun.push(n)
        add(1)
        return Effect.ensuring(
          work,
          Effect.sync(() => add(-1))
        )
      })
    }
  return { seen, over }
}

/** The elements of each key, in the order of the list. */
const byKey = (list: ReadonlyArray<number>, keyOf: (n: number) => number) =>
  [...new Set(list.map(keyOf))].map((key) => list.filter((n) => keyOf(n) === key))

const expectOrder = (list: ReadonlyArray<number>, keyOf: (n: number) => number) => {
  for (const elements of byKey(list, keyOf)) expect(elements).toEqual(sorted(elements))
}

const someTime = Effect.flatMap(Random.nextIntBetween(0, 30), Effect.sleep)

describe("P4 a step with a key", () => {
  it("takes the elements of a key one at a time and in order, and those of others at once", () => {
    const keyOf = (n: number) => n % 5
    const { over, seen } = watch()
    const work = over(keyOf)
    const job = Pipeline.from(numbers(200)).pipe(
      Pipeline.map((n) => work(n, Effect.as(someTime, n)), { concurrency: 4, key: keyOf }),
      Pipeline.collect
    )
    const given = valueOf(job)
    expect(sorted(given)).toEqual(upTo(200))
    expectOrder(given, keyOf)
    expectOrder(seen.begun, keyOf)
    expect(seen).toMatchObject({ most: 4, mostOfKey: 1 })
    // A key that is quick does not wait for one that is slow.
    expect(given).not.toEqual(upTo(200))
  })

  it("gives a key as many workers as perKey says, and its results in order all the same", () => {
    const keyOf = (n: number) => n % 3
    const { over, seen } = watch()
    const work = over(keyOf)
    const given = valueOf(
      Pipeline.from(numbers(200)).pipe(
        Pipeline.map((n) => work(n, Effect.as(someTime, n)), { concurrency: 5, key: keyOf, perKey: 2 }),
        Pipeline.collect
      )
    )
    expect(sorted(given)).toEqual(upTo(200))
    expectOrder(given, keyOf)
    expect(seen).toMatchObject({ most: 5, mostOfKey: 2 })
  })

  it("gives each key its turn, however much of another one waits", () => {
    const keys: Array<string> = []
    const job = Pipeline.from("aaaabbcc".split("")).pipe(
      Pipeline.map((key) => after(1, keys.push(key)), { key: (key) => key }),
      Pipeline.collect
    )
    valueOf(job)
    expect(keys.join("")).toBe("abcabcaa")
  })

  it("keeps a slow key from more than its workers", () => {
    const ends: Array<readonly [key: string, at: number]> = []
    const job = Pipeline.from([...Array(50).fill("slow"), ...upTo(50).map((n) => `quick ${n % 10}`)]).pipe(
      Pipeline.map(
        (key) =>
          Effect.andThen(
            Effect.sleep(key === "slow" ? 1000 : 1),
            Effect.map(Clock.currentTimeMillis, (at) => ends.push([key, at]))
          ),
        { concurrency: 2, key: (key) => key }
      ),
      Pipeline.collect
    )
    valueOf(job)
    const quick = ends.filter(([key]) => key !== "slow").map(([, at]) => at)
    const slow = ends.filter(([key]) => key === "slow").map(([, at]) => at)
    expect(Math.max(...quick) - Math.min(...quick)).toBeLessThan(100)
    expect(slow.slice(1).every((at, i) => at === slow[i]! + 1000)).toBe(true)
  })

  it("has no deadlock with 10,000 keys and 4 workers", () => {
    const keyOf = (n: number) => (n * 7919) % 10_000
    const { over, seen } = watch()
    const work = over(keyOf)
    const given = valueOf(
      Pipeline.from(numbers(20_000)).pipe(
        Pipeline.map((n) => work(n, Effect.as(Effect.yieldNow, n)), { concurrency: 4, key: keyOf }),
        Pipeline.flatMap((n) => [n, n], { concurrency: 2, key: (n) => keyOf(n) % 100 }),
        Pipeline.collect
      )
    )
    expect(given.length).toBe(40_000)
    expectOrder(given, keyOf)
    expect(seen).toMatchObject({ most: 4, mostOfKey: 1 })
  })

  it.sim(
    "ends in any order of events, with each key in order and no more at work than may be",
    () => {
      const keyOf = (n: number) => n % 3
      const { over, seen } = watch()
      const work = over(keyOf)
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(9)).pipe(
        Pipeline.map((n) => work(n, Effect.as(someTime, n)), { concurrency: 2, key: keyOf }),
        Pipeline.filter((n) => (n === 4 ? after(1, false) : true), { concurrency: 2, key: keyOf, perKey: 2 }),
        Pipeline.to(store.table)
      )
      return Effect.map(Store.given(store)(Pipeline.run(job, { name: "keys", window: { items: 4 } })), () => {
        expect(sorted(store.rows)).toEqual([1, 2, 3, 5, 6, 7, 8, 9])
        expectOrder(store.rows, keyOf)
        expect(seen.most).toBeLessThanOrEqual(2)
        expect(seen.mostOfKey).toBe(1)
      })
    },
    { schedules: 300, check: endsWell }
  )

  it("shares workers only with a neighbour that has the same key, of the same element", () => {
    const key = (n: number): number => n % 2
    const other = (n: number) => n % 3
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.tap(() => Effect.sleep(10), { name: "a", key }),
      Pipeline.map((n) => n + 1, { name: "b", key }),
      Pipeline.map((n) => n + 1, { name: "c", key }),
      Pipeline.map((n) => n, { name: "d", key: other }),
      Pipeline.map((n) => n, { name: "e" }),
      Pipeline.to(Store.make<number>().table)
    )
    const names = Pipeline.explain(job)
      .text.split("\n")
      .flatMap((line) => (line.startsWith("step ") ? [line.slice(5).trim()] : []))
    expect(names).toEqual(["a + b", "c", "d", "e"])
  })

  it("fails by the step where its key throws, and keeps that as a dead letter where defects are", () => {
    const key = (n: number): number => {
      if (n === 2) throw new Error("no key")
      return n
    }
    const job = (onError: "fail" | { deadLetter: typeof Schema.Number; defects: true }) =>
      Pipeline.from(numbers(3)).pipe(
        Pipeline.map((n) => n, { name: "keyed", key, onError }),
        Pipeline.to(Store.make<number>().table)
      )
    const cause = causeOf(Effect.provide(Pipeline.run(job("fail"), { name: "k" }), Journal.memory))
    expect(String(cause)).toContain("no key")
    expect(Pipeline.failedAt(cause)).toMatchObject({ value: { step: "keyed", position: 2, input: 2 } })
    const { dead, written } = valueOf(
      Effect.provide(Pipeline.run(job({ deadLetter: Schema.Number, defects: true }), { name: "k" }), Journal.memory)
    )
    expect([dead, written]).toEqual([1, 2])
  })

  it.each([
    [{ key: (): number => 1, order: "input" }, /leave out order: "input"/],
    [{ perKey: 2 }, /perKey is about the keys of a step: give it a key/],
    [{ ratePerKey: { limit: 1, per: "1 second" } }, /ratePerKey is about the keys/],
    [{ onError: { deadLetter: Schema.Number, parkKey: true } }, /parkKey is about the keys/],
    [{ key: (): number => 1, perKey: 0 }, /perKey must be a whole number, 1 or more; got 0/]
  ] as const)("is refused where its options contradict each other: %o", (options, message) => {
    expect(() => Pipeline.map((n: number) => n, options)(Pipeline.from([1]))).toThrow(message)
  })
})

describe("P5 an element that fails", () => {
  const keyOf = (n: number) => n % 3
  const parking = { deadLetter: Schema.Number, parkKey: true } as const
  const releasing = { deadLetter: Schema.Number } as const

  interface Options {
    readonly fails: (n: number) => boolean
    readonly policy?: typeof parking | typeof releasing
    readonly onOther?: (n: number) => Effect.Effect<unknown>
  }
  const jobOf = (store: Store.Store<number>, { fails, onOther = () => someTime, policy = parking }: Options, n = 12) =>
    Pipeline.from(numbers(n)).pipe(
      Pipeline.map((n) => (fails(n) ? Effect.fail(`no ${n}`) : Effect.as(onOther(n), n)), {
        name: "work",
        key: keyOf,
        concurrency: 3,
        onError: policy
      }),
      Pipeline.to(store.table)
    )
  const waiting = ({ letters }: Store.Store<number>) =>
    letters.filter(({ replayed }) => !replayed).map(({ input }) => input as number)

  type Keeping = Pipeline.Job<never, Journal.Journal, "exactly-once">
  const run = (store: Store.Store<number>, job: Keeping) => Store.given(store)(Pipeline.run(job, { name: "p" }))
  const replay = (store: Store.Store<number>, job: Keeping, ids?: ReadonlyArray<number>) =>
    Store.given(store)(Pipeline.replay(job, { name: "p", letters: { ids } }))

  it("releases its key, unless it is asked to park it", () => {
    const store = Store.make<number>()
    const summary = valueOf(run(store, jobOf(store, { fails: (n) => n === 5, policy: releasing })))
    expect(summary).toMatchObject({ dead: 1, written: 11 })
    expectOrder(store.rows, keyOf)
  })

  it("parks its key: what follows is a dead letter, in order, that says where the first one stands", () => {
    const store = Store.make<number>()
    const summary = valueOf(run(store, jobOf(store, { fails: (n) => n === 5 })))
    expect(summary).toMatchObject({ dead: 3, written: 9 })
    expect(sorted(store.rows)).toEqual([1, 2, 3, 4, 6, 7, 9, 10, 12])
    expect(store.letters.map(({ attempts, input, position }) => [input, position, attempts])).toEqual([
      [5, 5, 1],
      [8, 8, 0],
      [11, 11, 0]
    ])
    expect(store.letters[0]!.cause).toBe("no 5")
    expect(store.letters[1]!.cause).toContain("an element of the same key failed before it")
    expect(store.letters[1]!.cause).toContain("position 5")
    expect(store.letters.map(({ at }) => at)).toEqual(store.letters.map(({ at }) => at).toSorted((a, b) => a - b))
    expect(new Set(store.letters.map(({ at }) => at)).size).toBe(3)
  })

  it("is not in the way of those before it that were held up behind the step when the run was cut off", () => {
    const store = Store.make<number>()
    let isStuck = true
    const job = Pipeline.from(numbers(6)).pipe(
      Pipeline.map((n) => (n === 4 ? Effect.fail(`no ${n}`) : Effect.succeed(n)), {
        name: "work",
        key: keyOf,
        concurrency: 3,
        onError: parking
      }),
      Pipeline.map((n) => (isStuck && n === 1 ? Effect.never : Effect.succeed(n)), {
        concurrency: 4,
        order: "completion"
      }),
      Pipeline.to(store.table)
    )
    valueOf(Effect.timeoutOption(run(store, job), 1000))
    expect(waiting(store)).toEqual([])
    isStuck = false
    expect(valueOf(run(store, job))).toMatchObject({ outcome: "done" })
    expect([sorted(store.rows), waiting(store)]).toEqual([[1, 2, 3, 5, 6], [4]])
  })

  it("parks its key in later runs as well, until a replay has settled all of it", () => {
    const store = Store.make<number>()
    let broken = true
    const job = (n: number) => jobOf(store, { fails: (n) => broken && n === 5 }, n)
    valueOf(run(store, job(9)))
    expect(waiting(store)).toEqual([5, 8])
    broken = false
    expect(valueOf(run(store, job(12)))).toMatchObject({ dead: 1, written: 2 })
    expect(waiting(store)).toEqual([5, 8, 11])
    expect(store.letters.at(-1)!.cause).toContain("position 5")
    valueOf(replay(store, job(12)))
    expect(waiting(store)).toEqual([])
    expect(store.rows.filter((n) => keyOf(n) === 2)).toEqual([2, 5, 8, 11])
    expect(valueOf(run(store, job(15)))).toMatchObject({ dead: 0, written: 3 })
  })

  it("parks the rest of its key again where it fails in a replay, and keeps the order for the next", () => {
    const store = Store.make<number>()
    let bad = [5, 8]
    const job = jobOf(store, { fails: (n) => bad.includes(n) })
    valueOf(run(store, job))
    expect(waiting(store)).toEqual([5, 8, 11])
    bad = [8]
    valueOf(replay(store, job))
    expect(waiting(store)).toEqual([8, 11])
    expect(store.rows.filter((n) => keyOf(n) === 2)).toEqual([2, 5])
    bad = []
    valueOf(replay(store, job))
    expect(store.rows.filter((n) => keyOf(n) === 2)).toEqual([2, 5, 8, 11])
    expect(waiting(store)).toEqual([])
  })

  it("is in the way of those behind it until it is replayed, alone or with them, and they are not in its way", () => {
    const store = Store.make<number>()
    let bad = [5]
    const job = jobOf(store, { fails: (n) => bad.includes(n) })
    valueOf(run(store, job))
    const ofKey = () => store.rows.filter((n) => keyOf(n) === 2)
    const idOf = (input: number) => store.letters.findLast((letter) => letter.input === input)!.id
    // One from the middle stays, as the first was not run again.
    valueOf(replay(store, job, [idOf(8)]))
    expect([ofKey(), sorted(waiting(store))]).toEqual([[2], [5, 8, 11]])
    // The first fails again: its letter is the newest now, and still the first.
    valueOf(replay(store, job, [idOf(5)]))
    expect([ofKey(), sorted(waiting(store))]).toEqual([[2], [5, 8, 11]])
    expect(store.letters.at(-1)).toMatchObject({ input: 5, cause: "no 5" })
    bad = []
    valueOf(replay(store, job, [idOf(5)]))
    expect([ofKey(), sorted(waiting(store))]).toEqual([
      [2, 5],
      [8, 11]
    ])
    valueOf(replay(store, job))
    expect([ofKey(), waiting(store)]).toEqual([[2, 5, 8, 11], []])
  })

  it("is replayed before those behind it, though its letter is newer", () => {
    const store = Store.make<number>()
    let bad = [5]
    const job = jobOf(store, { fails: (n) => bad.includes(n) })
    valueOf(run(store, job))
    valueOf(replay(store, job, [store.letters[0]!.id]))
    bad = []
    valueOf(replay(store, job))
    expect(store.rows.filter((n) => keyOf(n) === 2)).toEqual([2, 5, 8, 11])
    expect(waiting(store)).toEqual([])
  })

  it("does not count those behind it for maxDead, which did not fail", () => {
    const store = Store.make<number>()
    const maxDead = { ...parking, maxDead: 1 } as typeof parking
    expect(valueOf(run(store, jobOf(store, { fails: (n) => n === 2, policy: maxDead }))).dead).toBe(4)
    const error = errorOf(run(store, jobOf(store, { fails: (n) => n > 12, policy: maxDead }, 15)))
    expect(error).toMatchObject({ _tag: "TooManyDeadLetters", dead: 2 })
  })

  it(
    "cannot be overtaken by a crash: whatever was kept of a key, the first of it is kept too",
    { timeout: 300_000 },
    () => {
      const life = () => {
        const store = Store.make<number>()
        // The siblings of the first are slow, and so is its unit.
        const job = Pipeline.from(numbers(4)).pipe(
          Pipeline.flatMap((n) => (n === 1 ? [2, 100] : [3 * n + 2])),
          Pipeline.map((n) => (n === 2 ? Effect.fail("no 2") : n === 100 ? after(50, n) : after(n % 2, n)), {
            name: "work",
            key: (n) => (n === 100 ? 1 : 2),
            concurrency: 2,
            onError: parking
          }),
          Pipeline.to(store.table)
        )
        return { store, run: run(store, job) }
      }
      let now = life()
      const check = (run: Sim.Run<unknown, unknown>) => {
        Effect.runSync(Leaks.check(run))
        const kept = waiting(now.store)
        if (kept.length > 0) expect(kept[0]).toBe(2)
        now.store.free()
        valueOf(now.run)
        expect(waiting(now.store)).toEqual([2, 8, 11, 14])
        expect(now.store.rows).toEqual([100])
      }
      const start = Effect.suspend(() => (now = life()).run)
      Effect.runSync(Kill.everywhere(start, { check }))
      Effect.runSync(Interrupt.everywhere(start, { check }))
    }
  )

  it("is a dead letter with its cause where it is a defect and those are, and ends the run otherwise", () => {
    const runOf = (defects: boolean | undefined) => {
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(3)).pipe(
        Pipeline.map(
          (n) => {
            if (n === 2) throw new TypeError("not a number")
            return n === 3 ? Effect.die("lost") : n
          },
          { onError: { deadLetter: Schema.Number, defects } }
        ),
        Pipeline.to(store.table)
      )
      return { store, run: run(store, job) }
    }
    const kept = runOf(true)
    expect(valueOf(kept.run)).toMatchObject({ written: 1, dead: 2 })
    expect(kept.store.letters.map(({ cause }) => cause)).toEqual(["TypeError: not a number", "lost"])
    expect(String(causeOf(runOf(undefined).run))).toContain("not a number")
  })

  it("P9 is no dead letter where it was interrupted, though defects are", () => {
    const interrupted = (step: (n: number) => Effect.Effect<unknown>) => {
      const store = Store.make<unknown>()
      const job = Pipeline.from(numbers(3)).pipe(
        Pipeline.map((n) => (n === 2 ? step(n) : n), { onError: { deadLetter: Schema.Number, defects: true } }),
        Pipeline.to(store.table)
      )
      const run = Store.given(store)(Pipeline.run(job, { name: "i" }))
      const { exit } = Effect.runSync(Sim.run(Effect.timeoutOption(run, 1000)))
      expect(store.letters).toEqual([])
      return exit
    }
    expect(Exit.isSuccess(interrupted(() => Effect.never))).toBe(true)
    expect(Exit.isFailure(interrupted(() => Effect.interrupt))).toBe(true)
  })
})
