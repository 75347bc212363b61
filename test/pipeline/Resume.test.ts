/** What a run may go on from: places, sinks by their identity, and sources by what was read of them (P10, P14). */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Kill } from "skein/testing"
import { after, errorOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** A sink that appends to a list; its state is how long the list is, and what is behind that is cut. */
const log = (name: string, parts: Partial<Sink.Sink<number, string, never, "effectively-once">> = {}) => {
  const seen = {
    lines: [] as Array<number>,
    opened: [] as Array<Option.Option<Schema.Json>>,
    writes: [] as Array<readonly [rows: ReadonlyArray<number>, since: Option.Option<Schema.Json>]>,
    finished: [] as Array<Option.Option<Schema.Json>>,
    closed: [] as Array<Option.Option<Schema.Json>>
  }
  const { lines } = seen
  const cut = (since: Option.Option<Schema.Json>) => {
    if (Option.isSome(since)) lines.length = since.value as number
  }
  const sink = Sink.make<number, string, never, "effectively-once">({
    name,
    guarantee: "effectively-once",
    open: ({ committed }) =>
      Effect.sync(() => {
        seen.opened.push(committed)
        cut(committed)
        return {
          write: (rows: ReadonlyArray<number>, since) =>
            Effect.sync(() => {
              seen.writes.push([rows, since])
              cut(since)
              return lines.push(...rows)
            }),
          close: (committed) => Effect.sync(() => (seen.closed.push(committed), cut(committed)))
        }
      }),
    ...parts
  })
  return { seen, sink }
}

describe("P14 what is in one place", () => {
  const at = (...places: ReadonlyArray<string>) => ({ places: Effect.succeed(places) })
  const cases = (store: Store.Store<number>) => {
    let read = 0
    const source = (...places: ReadonlyArray<string>): Source.Source<number, never, never, number> => ({
      ...numbers(3),
      ...at(...places),
      read: (from) => (read++, numbers(3).read(from))
    })
    const journal = (...places: ReadonlyArray<string>): Journal.Journal => ({ ...store.journal, places })
    const [a, b, c] = [log("a", at("/a", "/links/a")), log("b", at("/b")), log("c", at("/c", "/links/a"))]
    return { source, journal, a, b, c, read: () => read }
  }

  it.each([
    ["source and sink", "source numbers", "sink a"],
    ["two sinks", "sink a", "sink c"],
    ["two of three sinks, of several in one", "sink a", "sink c"],
    ["sink and journal", "journal", "sink a"],
    ["source and journal", "journal", "source numbers"]
  ])("is refused where it is %s, before anything is opened", (what, one, other) => {
    const store = Store.make<number>()
    const { a, b, c, journal, read, source } = cases(store)
    const sink = {
      "two sinks": Sink.all(a.sink, c.sink),
      "two of three sinks, of several in one": Sink.all(Sink.all(a.sink, b.sink), c.sink)
    }[what]
    const from = what.startsWith("source and") ? source("/links/a") : source("/in")
    const kept =
      what === "source and journal" ? journal("/x", "/links/a") : journal(what === "sink and journal" ? "/a" : "/j")
    const to = what === "source and journal" ? b.sink : (sink ?? a.sink)
    const job = Pipeline.from(from).pipe(Pipeline.to(to))
    for (const run of [Pipeline.run(job, { name: "p" }), Pipeline.run(job, { name: "p", restart: true })]) {
      const error = errorOf(Effect.provideService(run, Journal.Journal, kept))
      expect(error).toBeInstanceOf(Pipeline.SamePlace)
      expect(error).toMatchObject({ pipeline: "p", one, other })
      expect(String(error)).toContain(`its ${one} and its ${other} are the same file`)
    }
    expect([a.seen.opened, b.seen.opened, c.seen.opened, read(), store.checkpoint]).toEqual([[], [], [], 0, undefined])
    // A replay does not read the source.
    const replay = Effect.provideService(Pipeline.replay(job, { name: "p" }), Journal.Journal, kept)
    if (one === "journal" && what !== "source and journal") expect(errorOf(replay)).toBeInstanceOf(Pipeline.SamePlace)
    if (what.startsWith("source")) expect(valueOf(replay)).toMatchObject({ settled: 0 })
  })

  it("is nothing where each is in its own, by however many names", () => {
    const store = Store.make<number>()
    const { a, b, journal, source } = cases(store)
    const job = Pipeline.from(source("/in", "/in", "/links/in")).pipe(Pipeline.to(Sink.all(a.sink, b.sink)))
    const run = Effect.provideService(Pipeline.run(job, { name: "p" }), Journal.Journal, journal("/j", "/j"))
    expect(valueOf(run)).toMatchObject({ outcome: "done" })
    expect([a.seen.lines, b.seen.lines]).toEqual([upTo(3), upTo(3)])
  })
})

describe("P10 the sinks of a run", () => {
  const run = (
    store: Store.Store<number>,
    n: number,
    sink: Sink.Sink<number, string, never, Sink.Guarantee>,
    options: { readonly onSinkChanged?: "begin"; readonly restart?: boolean } = {}
  ) =>
    Pipeline.run(Pipeline.from(numbers(n)).pipe(Pipeline.to(sink)), { name: "s", ...options }).pipe(Store.given(store))

  it("go on from their own state, in whatever order and grouping", () => {
    const store = Store.make<number>()
    const [a, b, c] = [log("a"), log("b"), log("c")]
    // So that their states differ.
    a.seen.lines.push(0, 0)
    b.seen.lines.push(0)
    valueOf(run(store, 2, Sink.all(a.sink, b.sink, c.sink)))
    valueOf(run(store, 4, Sink.all(c.sink, a.sink, b.sink)))
    valueOf(run(store, 5, Sink.all(b.sink, Sink.all(c.sink, a.sink))))
    expect([a.seen.lines, b.seen.lines, c.seen.lines]).toEqual([[0, 0, ...upTo(5)], [0, ...upTo(5)], upTo(5)])
    const states = (...all: ReadonlyArray<number>) => [Option.none(), ...all.map((n) => Option.some(n))]
    expect([a.seen.opened, b.seen.opened, c.seen.opened]).toEqual([states(4, 6), states(3, 5), states(2, 4)])
  })

  it("are known by their identity and not by their name", () => {
    const store = Store.make<number>()
    const one = log("one", { identity: Effect.succeed("file 1") })
    const renamed = log("renamed", { identity: Effect.succeed("file 1") })
    const other = log("one", { identity: Effect.succeed("file 2") })
    valueOf(run(store, 2, one.sink))
    const error = errorOf(run(store, 3, other.sink))
    expect(error).toBeInstanceOf(Pipeline.SinkChanged)
    expect(error).toMatchObject({
      changes: ["it did not write to file 2 before", "it wrote to file 1 before, and now does not"]
    })
    expect(String(error)).toContain('onSinkChanged: "begin"')
    expect([other.seen.opened, other.seen.lines]).toEqual([[], []])
    expect(valueOf(run(store, 3, renamed.sink))).toMatchObject({ settled: 1 })
    expect(renamed.seen.opened).toEqual([Option.some(2)])
  })

  it("may be others where that is asked for: who is new begins now, who is gone is forgotten", () => {
    const store = Store.make<number>()
    const [a, b] = [log("a"), log("b")]
    b.seen.lines.push(0)
    valueOf(run(store, 2, a.sink))
    const begin = { onSinkChanged: "begin" } as const
    expect(errorOf(run(store, 4, Sink.all(a.sink, b.sink)))).toBeInstanceOf(Pipeline.SinkChanged)
    valueOf(run(store, 4, Sink.all(a.sink, b.sink), begin))
    expect([a.seen.lines, b.seen.lines]).toEqual([upTo(4), [0, 3, 4]])
    valueOf(run(store, 5, b.sink, begin))
    expect(Object.keys(store.checkpoint!.sinks)).toEqual(["b"])
    // It has been forgotten: whatever has been appended since is not cut off by its old state.
    a.seen.lines.push(99)
    valueOf(run(store, 6, Sink.all(b.sink, a.sink), begin))
    expect([a.seen.lines, b.seen.lines]).toEqual([
      [...upTo(4), 99, 6],
      [0, ...upTo(6).slice(2)]
    ])
  })

  it("are refused when their form changes, which is named", () => {
    const store = Store.make<number>()
    const formed = (form: Source.Fingerprint) => log("a", { form: Effect.succeed(form) })
    valueOf(run(store, 2, formed({ format: "csv", header: true }).sink))
    const changed = formed({ format: "json", header: true })
    const error = errorOf(run(store, 3, changed.sink))
    expect(error).toBeInstanceOf(Pipeline.SinkChanged)
    expect(error).toMatchObject({ changes: ['a: format was "csv", is "json"'] })
    expect(changed.seen.opened).toEqual([])
    expect(valueOf(run(store, 3, formed({ format: "csv", header: true }).sink))).toMatchObject({ settled: 1 })
    expect(valueOf(run(store, 3, changed.sink, { restart: true }))).toMatchObject({ settled: 3 })
  })

  it("are told apart by their number where they have one identity, also where another is called like that", () => {
    const store = Store.make<number>()
    const all = ["log", "log #2", "log", "log"].map((name) => log(name))
    all.forEach(({ seen }, i) => seen.lines.push(...upTo(i)))
    const sinks = (list: typeof all) => Sink.all(list[0]!.sink, list[1]!.sink, list[2]!.sink, list[3]!.sink)
    valueOf(run(store, 2, sinks(all)))
    expect(Object.keys(store.checkpoint!.sinks).length).toBe(4)
    valueOf(run(store, 4, sinks(all)))
    expect(all.map(({ seen }) => seen.lines)).toEqual(all.map((_, i) => [...upTo(i), ...upTo(4)]))
    expect(all.map(({ seen }) => seen.opened[1])).toEqual([2, 3, 4, 5].map((n) => Option.some(n)))
  })

  it("have a state that is known before anything is read", () => {
    const store = Store.make<number>()
    const { seen, sink } = log("a")
    seen.lines.push(0, 0)
    const states: Array<unknown> = []
    const watching: Source.Source<number, never, never, number> = {
      ...numbers(3),
      read: (from) =>
        Stream.suspend(() => {
          states.push(store.checkpoint?.sinks)
          return numbers(3).read(from)
        })
    }
    valueOf(Pipeline.run(Pipeline.from(watching).pipe(Pipeline.to(sink)), { name: "s" }).pipe(Store.given(store)))
    expect(states).toEqual([{ a: { fingerprint: {}, state: 2 } }])
    expect(seen.writes).toEqual([
      [[], Option.none()],
      [upTo(3), Option.some(2)]
    ])
    expect(seen.closed).toEqual([Option.some(5)])
  })
})

describe("what a sink writes at the end", () => {
  /** Ends with a zero, which is behind the state: what comes later takes its place. */
  const ended = () => {
    const base = log("ended")
    const { seen } = base
    const sink: typeof base.sink = {
      ...base.sink,
      open: (opening) =>
        Effect.map(base.sink.open(opening), (writer) => ({
          ...writer,
          finish: (since) =>
            Effect.sync(() => {
              seen.finished.push(since)
              seen.lines.length = Option.getOrThrow(since) as number
              seen.lines.push(0)
              return seen.lines.length - 1
            }),
          close: (committed) =>
            Effect.sync(() => {
              const end = (Option.getOrThrow(committed) as number) + (store.checkpoint?.finished === true ? 1 : 0)
              seen.lines.length = Math.min(seen.lines.length, end)
            })
        }))
    }
    const store = Store.make<number>()
    return { seen, sink, store }
  }
  const job = (n: number, sink: Sink.Sink<number, string, never, "effectively-once">, bad = new Set<number>()) =>
    Pipeline.from(numbers(n)).pipe(
      Pipeline.map((n) => (bad.has(n) ? Effect.delay(Effect.fail("bad"), 5) : after(1, n)), {
        name: "step",
        onError: { deadLetter: Schema.Number }
      }),
      Pipeline.map((n) => (bad.has(-n) ? Effect.delay(Effect.fail("broken"), 50) : Effect.succeed(n))),
      Pipeline.to(sink)
    )

  it("is written once, behind all, from the last state; a source that grew goes on in its place", () => {
    const { seen, sink, store } = ended()
    valueOf(Pipeline.run(job(5, sink), { name: "e", maxRows: 2 }).pipe(Store.given(store)))
    expect(seen.lines).toEqual([...upTo(5), 0])
    expect(seen.finished).toEqual([Option.some(5)])
    expect(store.checkpoint).toMatchObject({ finished: true, sinks: { ended: { state: 5 } } })
    valueOf(Pipeline.run(job(8, sink), { name: "e", maxRows: 2 }).pipe(Store.given(store)))
    expect(seen.lines).toEqual([...upTo(8), 0])
    expect(seen.finished).toEqual([Option.some(5), Option.some(8)])
    // Nothing has come: the same end once more.
    valueOf(Pipeline.run(job(8, sink), { name: "e" }).pipe(Store.given(store)))
    expect(seen.lines).toEqual([...upTo(8), 0])
  })

  it("is not written by a run that fails or is drained, nor by a replay before the end", () => {
    const { seen, sink, store } = ended()
    const bad = new Set([2, -4])
    expect(errorOf(Pipeline.run(job(5, sink, bad), { name: "e" }).pipe(Store.given(store)))).toBe("broken")
    bad.clear()
    expect(valueOf(Pipeline.replay(job(5, sink, bad), { name: "e" }).pipe(Store.given(store)))).toMatchObject({
      written: 1
    })
    expect(seen.lines).toEqual([1, 3, 2])
    const drained = Effect.gen(function* () {
      const run = yield* Pipeline.start(job(5, sink), { name: "e" })
      yield* run.drain
      return yield* run.await
    })
    expect(valueOf(Store.given(store)(TaskGroup.open(drained)))).toMatchObject({ outcome: "drained" })
    expect(seen.finished).toEqual([])
    bad.add(5)
    valueOf(Pipeline.run(job(5, sink, bad), { name: "e" }).pipe(Store.given(store)))
    expect(seen.lines).toEqual([1, 3, 2, 4, 0])
    bad.clear()
    // What is replayed after the end comes before the end.
    valueOf(Pipeline.replay(job(5, sink, bad), { name: "e" }).pipe(Store.given(store)))
    expect(seen.lines).toEqual([1, 3, 2, 4, 5, 0])
  })

  it("P13 is written once, killed anywhere, in transactions that run twice", () => {
    let now!: ReturnType<typeof ended>
    const run = () => Pipeline.run(job(3, now.sink), { name: "e", maxRows: 2 }).pipe(Store.given(now.store))
    const start = Effect.suspend(() => {
      now = ended()
      now.store.twice = true
      return run()
    })
    const check = () => {
      now.store.free()
      valueOf(run())
      expect(now.seen.lines).toEqual([1, 2, 3, 0])
    }
    Effect.runSync(Kill.everywhere(start, { check, at: "suspension" }))
  })
})

describe("P10 what was read of a source", () => {
  /** Settles 1 and 2, and 5 and 6 beyond the watermark; 3 is what the run fails on, and 4, 7 and 8 are left. */
  const begun = () => {
    const store = Store.make<number>()
    const job = (list: ReadonlyArray<number>, fails: boolean) =>
      Pipeline.from(Source.list(list, { name: "list" })).pipe(
        Pipeline.map(
          (n) =>
            !fails
              ? Effect.succeed(n)
              : n === 3
                ? Effect.delay(Effect.fail("three"), 50)
                : after(n === 4 || n > 6 ? 500 : n, n),
          { concurrency: 8, order: "completion" }
        ),
        Pipeline.to(store.table)
      )
    const run = (list: ReadonlyArray<number>, options: { readonly onChanged?: "restart" } = {}) =>
      Store.given(store)(Pipeline.run(job(list, false), { name: "r", ...options }))
    expect(errorOf(Store.given(store)(Pipeline.run(job(upTo(8), true), { name: "r" })))).toBe("three")
    expect(store.checkpoint).toMatchObject({ position: Option.some(2), ahead: [3, 4] })
    expect(Option.getOrThrow(store.checkpoint!.reach).position).toBe(6)
    expect(store.rows).toEqual([1, 2, 5, 6])
    return { store, run }
  }

  it.each([
    ["before the watermark", [1, 22, 3, 4, 5, 6, 7, 8]],
    ["between the watermark and what is settled beyond it", [1, 2, 33, 4, 5, 6, 7, 8]],
    ["among what is settled beyond it", [1, 2, 3, 4, 55, 6, 7, 8]],
    ["at the last of it", [1, 2, 3, 4, 5, 66, 7, 8]]
  ])("is refused where it was mended %s, unless it starts over", (where, list) => {
    const { run, store } = begun()
    const error = errorOf(run(list))
    expect(error).toBeInstanceOf(Pipeline.SourceChanged)
    const beyond = "2 elements behind the watermark are settled too, and up to the last of them: checksum was"
    expect(String(error).includes(beyond)).toBe(where !== "before the watermark")
    expect(store.rows).toEqual([1, 2, 5, 6])
    expect(valueOf(run(list, { onChanged: "restart" }))).toMatchObject({ settled: 8, resumed: false })
  })

  it.each([
    ["shorter than that", upTo(5)],
    ["with another element in between", [1, 2, 2, 3, 4, 5, 6, 7, 8]],
    ["without one in between", [1, 2, 4, 5, 6, 7, 8]]
  ])("is refused where it is %s", (_, list) => {
    const { run, store } = begun()
    expect(errorOf(run(list))).toBeInstanceOf(Pipeline.SourceChanged)
    expect(store.rows).toEqual([1, 2, 5, 6])
  })

  it.each([
    ["as it was", upTo(8)],
    ["mended behind it", [1, 2, 3, 4, 5, 6, 77, 88]],
    ["longer", upTo(12)],
    ["cut behind it", upTo(6)]
  ])("goes on where it is %s", (_, list) => {
    const { run, store } = begun()
    expect(valueOf(run(list))).toMatchObject({ outcome: "done", resumed: true, total: { settled: list.length } })
    expect(store.rows.toSorted((a, b) => a - b)).toEqual(list.toSorted((a, b) => a - b))
    expect(store.checkpoint).toMatchObject({ position: Option.some(list.length), ahead: [], reach: Option.none() })
  })

  it("is known in the same way when it is stopped again before it has come to what is settled beyond", () => {
    const { run, store } = begun()
    const stopped = Pipeline.from(Source.list(upTo(8), { name: "list" })).pipe(
      Pipeline.map((n) => (n === 4 ? Effect.fail("four") : Effect.succeed(n))),
      Pipeline.to(store.table)
    )
    const again = { name: "r", window: { items: 1 } }
    expect(errorOf(Store.given(store)(Pipeline.run(stopped, again)))).toBe("four")
    expect(store.checkpoint).toMatchObject({ position: Option.some(3), ahead: [2, 3] })
    expect(errorOf(run([1, 2, 3, 4, 5, 66, 7, 8]))).toBeInstanceOf(Pipeline.SourceChanged)
    valueOf(run([1, 2, 3, 4, 5, 6, 77, 8]))
    expect(store.rows).toEqual([1, 2, 5, 6, 3, 4, 77, 8])
  })
})

describe("P16 a source that keeps elements until they are settled", () => {
  /** What it was told, and how much was committed by then. */
  const told = (store: Store.Store<number>) => {
    const heard: Array<readonly [upTo: number, committed: number]> = []
    const source: Source.Source<number, never, never, number> = {
      ...numbers(6),
      settled: (upTo) =>
        Effect.sync(() => {
          heard.push([upTo, Option.getOrElse(store.checkpoint!.position, () => 0) as number])
        })
    }
    return { heard, source }
  }

  it("is told in order, after each commit, and again by the run that goes on", () => {
    const store = Store.make<number>()
    const { heard, source } = told(store)
    let broken = true
    const job = Pipeline.from(source).pipe(
      Pipeline.map((n) => (broken && n === 4 ? Effect.fail("four") : after(1, n))),
      Pipeline.to(store.table)
    )
    const run = Store.given(store)(Pipeline.run(job, { name: "told", maxRows: 1 }))
    expect(errorOf(run)).toBe("four")
    const first = heard.splice(0)
    expect(first).toEqual([1, 2, 3].map((n) => [n, n]))
    broken = false
    valueOf(run)
    expect(heard).toEqual([3, 4, 5, 6].map((n) => [n, n]))
  })

  it("may give no more before that: what is filtered is settled as well, and nothing waits for more to commit", () => {
    const store = Store.make<number>()
    let settled = 0
    const heard = (n: number): Effect.Effect<void> =>
      Effect.suspend(() => (n - settled <= 2 ? Effect.void : Effect.andThen(Effect.sleep(1), heard(n))))
    const source: Source.Source<number, never, never, number> = {
      ...numbers(30),
      read: (from) =>
        numbers(30)
          .read(from)
          .pipe(
            Stream.rechunk(1),
            Stream.tap(({ value }) => heard(value))
          ),
      settled: (upTo) => Effect.sync(() => void (settled = upTo))
    }
    const job = Pipeline.from(source).pipe(
      Pipeline.filter((n) => n % 5 === 0),
      Pipeline.batch(2),
      Pipeline.flatMap((pair) => pair),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Effect.timeoutOption(Pipeline.run(job, { name: "waits" }), "1 minute")))
    expect(store.rows).toEqual([5, 10, 15, 20, 25, 30])
  })

  it("is told nothing by a replay and by `collect`", async () => {
    const store = Store.make<number>()
    const { heard, source } = told(store)
    expect(await Effect.runPromise(Pipeline.collect(Pipeline.from(source)))).toEqual(upTo(6))
    valueOf(Store.given(store)(Pipeline.replay(Pipeline.from(source).pipe(Pipeline.to(store.table)), { name: "none" })))
    expect(heard).toEqual([])
  })
})
