/** Elements whose key was seen before are dropped: in this run, and in those before it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source } from "skein"
import { Leaks, Sim } from "skein/testing"
import { after, causeOf, errorOf, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

const words = (list: ReadonlyArray<string>) => Source.list(list, { name: "words" })

interface Word {
  readonly key: string
  readonly text: string
}
const Word = Schema.Struct({ key: Schema.String, text: Schema.String })
const keyOf = ({ key }: Word) => key
/** Each with its key in front: `a1` and `a2` are of the key `a`. */
const parted = (text: string): Word => ({ key: text.slice(0, 1), text })

/** Runs until it is done, past every fault. */
const finish = <A>(store: Store.Store<A>, run: Effect.Effect<Pipeline.Summary, unknown>): void => {
  store.free()
  const { exit } = Effect.runSync(Effect.tap(Sim.run(run), Leaks.check))
  if (Exit.isFailure(exit)) throw new Error(String(exit.cause))
  expect(exit.value.outcome).toBe("done")
}

describe("unique", () => {
  it("lets the first of each key pass, and counts the others as filtered", () => {
    const store = Store.make<string>()
    const job = Pipeline.from(words(["a1", "b1", "a2", "c1", "b2", "a3"])).pipe(
      Pipeline.unique((word) => word[0]!),
      Pipeline.to(store.table)
    )
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "once" })))
    expect(summary).toMatchObject({ settled: 6, written: 3, filtered: 3 })
    expect(store.rows).toEqual(["a1", "b1", "c1"])
    expect(store.seen).toEqual(["unique sa", "unique sb", "unique sc"])
  })

  it("knows the keys of runs before, by the name of the step, until a restart", () => {
    const store = Store.make<string>()
    const run = (list: ReadonlyArray<string>, options: Partial<Pipeline.RunOptions<Pipeline.Delivery>> = {}) => {
      const job = Pipeline.from(words(list)).pipe(
        Pipeline.unique((word) => word[0]!, { name: "letters" }),
        Pipeline.to(store.table)
      )
      return valueOf(Store.given(store)(Pipeline.run(job, { name: "once", ...options })))
    }
    expect(run(["a1", "b1"])).toMatchObject({ written: 2 })
    expect(run(["a1", "b1", "b2", "c1", "a2"])).toMatchObject({ settled: 3, written: 1, filtered: 2 })
    expect(store.rows).toEqual(["a1", "b1", "c1"])
    expect(run(["a1", "b1", "b2", "c1", "a2"], { restart: true })).toMatchObject({ settled: 5, written: 3 })
    expect(store.seen).toEqual(["letters sa", "letters sb", "letters sc"])
  })

  it("knows the keys of runs before where the source has no positions, and forgets them on a restart as well", () => {
    const store = Store.make<string>()
    const run = (list: ReadonlyArray<string>, restart = false) => {
      const job = Pipeline.from(list).pipe(
        Pipeline.unique((word) => word),
        Pipeline.to(store.table)
      )
      return valueOf(Store.given(store)(Pipeline.run(job, { name: "poll", restart }))).written
    }
    expect([run(["a", "b"]), run(["b", "c"]), run(["a", "b", "c"]), run(["a", "b", "c"], true)]).toEqual([2, 1, 0, 3])
  })

  it("tells keys apart by their kind, and long ones by all of them", () => {
    const long = "x".repeat(5000)
    const keys = [1, "1", 1n, true, "true", "", long, `${long}a`, `${long}\ud800`, `${long}\ud801`, "s1", "#1", -0, 0]
    const seen: Array<Journal.Seen> = []
    const pass = (list: ReadonlyArray<Pipeline.Key>) =>
      Pipeline.from(list).pipe(
        Pipeline.unique((key: Pipeline.Key) => key),
        Pipeline.to(Sink.discard)
      )
    const program = Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const noted: Journal.Journal = {
        ...journal,
        lease: (key, options) =>
          Effect.map(journal.lease(key, options), (lease) => ({
            ...lease,
            commit: (write) => lease.commit(Effect.tap(write, (commit) => Effect.sync(() => seen.push(...commit.seen))))
          }))
      }
      const run = Effect.provideService(
        Pipeline.run(pass([...keys, ...keys]), { name: "keys" }),
        Journal.Journal,
        noted
      )
      return [(yield* run).written, (yield* run).written]
    })
    expect(valueOf(Effect.provide(program, Journal.memory))).toEqual([keys.length - 1, 0])
    expect(Math.max(...seen.map(({ key }) => key.length))).toBeLessThan(150)
  })

  it("ends the run by a key that is none, or that throws, and names the element", () => {
    const run = (key: (word: string) => Pipeline.Key) =>
      causeOf(
        Pipeline.run(Pipeline.from(words(["a", "b"])).pipe(Pipeline.unique(key), Pipeline.to(Sink.discard)), {
          name: "bad"
        }).pipe(Effect.provide(Journal.memory))
      )
    for (const [key, message] of [
      [(word: string) => ({ word }) as never, /A key has to be a string, number, bigint or boolean, not object/],
      [
        () => {
          throw new Error("no key")
        },
        /step "unique" on the element that ends at position 1 threw: .*no key/
      ]
    ] as const) {
      const cause = run(key)
      expect(String(cause)).toMatch(message)
      expect(Pipeline.failedAt(cause)).toMatchObject({ value: { step: "unique", position: 1, input: "a" } })
    }
  })

  it("has its keys under the name of one step", () => {
    const twice = () => Pipeline.from(["a"]).pipe(Pipeline.unique(String), Pipeline.unique(String))
    expect(twice).toThrow(/two steps with the name "unique"/)
  })

  it("is asked for by a name that was not there before: the run is refused, or begins with what comes now", () => {
    const store = Store.make<string>()
    const run = (name: string, options: Partial<Pipeline.RunOptions<Pipeline.Delivery>> = {}) =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(words(name === "one" ? ["a1"] : ["a1", "a2"])).pipe(
            Pipeline.unique((word) => word[0]!, { name }),
            Pipeline.to(store.table)
          ),
          { name: "once", ...options }
        )
      )
    valueOf(run("one"))
    const error = errorOf(run("two"))
    expect(error).toBeInstanceOf(Pipeline.StepsChanged)
    expect(error.message).toBe(
      'Cannot resume pipeline "once": its step "two" is new; its step "one" is gone, with what it kept. Call the steps as they ' +
        "were called, use another name, start over (restart: true), or let a step that is new begin with what comes now " +
        '(onStepsChanged: "begin")'
    )
    expect(valueOf(run("two", { onStepsChanged: "begin" }))).toMatchObject({ written: 1 })
    expect(store.rows).toEqual(["a1", "a2"])
  })

  it("P1 gives each key to the sink once, wherever the run is killed", () => {
    const list = ["a1", "b1", "a2", "c1", "b2", "a3", "d1", "c2", "a4", "d2"]
    let store!: Store.Store<string>
    const job = () =>
      Pipeline.from(words(list)).pipe(
        Pipeline.map((word) => after(word.charCodeAt(0) % 3, word), { concurrency: 3, order: "completion" }),
        Pipeline.unique((word) => word[0]!),
        Pipeline.map((word) => after(word.charCodeAt(1) % 4, word), { concurrency: 2, order: "completion" }),
        Pipeline.to(store.table)
      )
    const run = () =>
      Store.given(store)(Pipeline.run(job(), { name: "once", window: { items: 4 }, maxRows: 2, commitEvery: 1 }))
    const start = Effect.suspend(() => {
      store = Store.make<string>()
      return run()
    })
    const check = () => {
      finish(store, run())
      expect(store.rows.map((word) => word[0]).toSorted()).toEqual(["a", "b", "c", "d"])
      expect(store.checkpoint?.counts).toMatchObject({ settled: list.length, written: 4, filtered: list.length - 4 })
    }
    Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
  })

  it("P1 loses no key whose first element becomes another one in the next run", () => {
    // `a1` is read well by the run that is killed, and fails for ever after.
    let store!: Store.Store<string>
    let runs = 0
    const job = () =>
      Pipeline.from(words(["a1", "a2", "b1", "a3"])).pipe(
        Pipeline.map((word) => (word === "a1" && runs > 1 ? Effect.fail("gone") : Effect.succeed(word)), {
          onError: "skip"
        }),
        Pipeline.unique((word) => word[0]!),
        Pipeline.map((word) => after(word === "a1" ? 20 : 0, word), { concurrency: 4, order: "completion" }),
        Pipeline.to(store.table)
      )
    const run = () =>
      Effect.suspend(() => {
        runs += 1
        return Store.given(store)(Pipeline.run(job(), { name: "once", maxRows: 1 }))
      })
    const start = Effect.suspend(() => {
      store = Store.make<string>()
      runs = 0
      return run()
    })
    const check = () => {
      finish(store, run())
      expect(store.rows.map((word) => word[0]).toSorted()).toEqual(["a", "b"])
    }
    Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
  })

  it("P1 keeps the keys of a large element when all that it became is settled", () => {
    let store!: Store.Store<string>
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(words(["abc", "bcd", "ae", "ee"])).pipe(
            Pipeline.flatMap((word) => word.split("")),
            Pipeline.unique((letter) => letter),
            Pipeline.map((letter) => after(letter === "b" ? 10 : 1, letter), { concurrency: 3 }),
            Pipeline.to(store.table)
          ),
          { name: "letters" }
        )
      )
    const start = Effect.suspend(() => {
      store = Store.make<string>()
      return run()
    })
    const check = () => {
      finish(store, run())
      expect(store.rows.toSorted()).toEqual(["a", "b", "c", "d", "e"])
      expect(store.seen.toSorted()).toEqual(["a", "b", "c", "d", "e"].map((letter) => `unique s${letter}`))
    }
    Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
  })

  it("P1 P16 gives a key to the element that it let pass, of which parts are written, though another comes first in the next run", () => {
    let store!: Store.Store<string>
    let runs = 0
    const comesLater = (word: string) => word.endsWith(runs % 2 === 0 ? "1" : "2")
    const partsOf = (word: string) =>
      Stream.fromIterable([1, 2, 3]).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((n) => after(1, `${word}.${n}`))
      )
    const job = () =>
      Pipeline.from(words(["a1", "a2", "b1", "b2", "a3"])).pipe(
        Pipeline.map((word) => after(comesLater(word) ? 5 : 0, word), { concurrency: 3, order: "completion" }),
        Pipeline.flatMap((word) => [word, word.toUpperCase()], { name: "both" }),
        Pipeline.unique((word) => word[0]!),
        Pipeline.flatMap(partsOf, { name: "parts", concurrency: 4, order: "completion" }),
        Pipeline.flatMap((part) => Stream.make(`${part}.1`, `${part}.2`), { name: "smaller" }),
        Pipeline.to(store.table)
      )
    const run = () =>
      Effect.suspend(() => {
        runs += 1
        return Store.given(store)(Pipeline.run(job(), { name: "once", maxRows: 1, commitEvery: 0 }))
      })
    const start = Effect.suspend(() => {
      store = Store.make<string>()
      runs = 0
      return run()
    })
    let resumed = 0
    const check = () => {
      if (store.rows.length % 6 > 0) resumed += 1
      finish(store, run())
      const written = (letter: string) => store.rows.filter((word) => word.startsWith(letter)).toSorted()
      for (const letter of ["a", "A", "b", "B"]) {
        const word = written(letter)[0]!.slice(0, 2)
        expect(written(letter)).toEqual([1, 2, 3].flatMap((n) => [`${word}.${n}.1`, `${word}.${n}.2`]))
      }
      expect(store.seen.toSorted()).toEqual(["A", "B", "a", "b"].map((letter) => `unique s${letter}`))
      expect(store.checkpoint).toMatchObject({ finished: true, ahead: [], counts: { settled: 5, written: 24 } })
    }
    Effect.runSync(Sim.explore(start, { schedules: 200, check, stop: "kill" }))
    expect(resumed, "runs that were killed between two parts").toBeGreaterThan(20)
  })

  it("P5 lets a dead letter from behind it go on where it failed, and one from before it pass as if it came now", () => {
    const store = Store.make<string>()
    let mended = false
    const bad =
      (...names: ReadonlyArray<string>) =>
      (word: Word) =>
        !mended && names.includes(word.text) ? Effect.fail(`no ${word.text}`) : Effect.succeed(word)
    const job = Pipeline.from(words(["a1", "a2", "b1", "b2", "c1"])).pipe(
      Pipeline.map(parted),
      Pipeline.map(bad("b1", "c1"), { name: "before", onError: { deadLetter: Word } }),
      Pipeline.unique(keyOf),
      Pipeline.map(bad("a1"), { name: "behind", onError: { deadLetter: Word } }),
      Pipeline.map(({ text }) => text),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    expect(valueOf(given(Pipeline.run(job, { name: "letters" })))).toMatchObject({ written: 1, dead: 3, filtered: 1 })
    expect(store.rows).toEqual(["b2"])
    mended = true
    // `a1` was the first of its key; `b1` comes after `b2`, and `c1` is the first.
    expect(valueOf(given(Pipeline.replay(job, { name: "letters" })))).toMatchObject({ written: 2, filtered: 1 })
    expect(store.rows.toSorted()).toEqual(["a1", "b2", "c1"])
    expect(store.seen.toSorted()).toEqual(["unique sa", "unique sb", "unique sc"])
  })

  it("knows the keys of runs before in a dry run, and of the elements that it has read, and keeps none", () => {
    const store = Store.make<string>()
    const job = (list: ReadonlyArray<string>) =>
      Pipeline.from(words(list)).pipe(
        Pipeline.unique((word) => word[0]!),
        Pipeline.to(store.table)
      )
    const given = Store.given(store)
    valueOf(given(Pipeline.run(job(["a1", "b1"]), { name: "once" })))
    const dry = valueOf(given(Pipeline.dryRun(job(["a1", "b1", "b2", "c1", "c2"]), { name: "once" })))
    expect(dry.written).toEqual([{ sink: "table", elements: ["c1"] }])
    expect(dry.counts).toMatchObject({ settled: 3, filtered: 2 })
    expect(store.seen).toEqual(["unique sa", "unique sb"])
  })

  it("is run by collect and stream with the keys of one run", () => {
    const many = Array.from({ length: 5000 }, (_, i) => i % 1500)
    const once = Pipeline.from(many).pipe(Pipeline.unique((n) => n))
    const program = Effect.all([Pipeline.collect(once), Pipeline.collect(once)])
    const [first, second] = valueOf(Effect.provide(program, Journal.memory))
    expect(first).toEqual(many.slice(0, 1500))
    expect(second).toEqual(first)
  })
})
