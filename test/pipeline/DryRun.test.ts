/** What a run would do, without its doing it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Db, Files, Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Drivers, Main } from "skein/node"
import * as Child from "../support/child.ts"
import { databases } from "../support/databases.ts"
import { exitOf, numbers, valueOf } from "../support/jobs.ts"

const even = (n: number) => n % 2 === 0
const odd = (n: number) => (even(n) ? Effect.fail(`${n} is even`) : Effect.succeed(n * 10))

describe("Pipeline.dryRun", () => {
  it("gives what each sink would be given of the first elements, in order, and counts them", () => {
    const job = Pipeline.from(numbers(50)).pipe(
      Pipeline.map((n) => Effect.delay(Effect.succeed(n), 50 - n), { concurrency: 4 }),
      Pipeline.batch(2),
      Pipeline.to(Sink.discard)
    )
    expect(valueOf(Effect.provide(Pipeline.dryRun(job, { name: "dry", first: 5 }), Journal.memory))).toEqual({
      pipeline: "dry",
      guarantee: "at-least-once",
      from: Option.none(),
      ended: false,
      counts: { settled: 5, written: 3, filtered: 0, skipped: 0, dead: 0, bytes: 40 },
      written: [{ sink: "discard", elements: [[1, 2], [3, 4], [5]] }],
      filtered: [],
      skipped: [],
      dead: []
    })
  })

  it("tells what a step drops, skips and would keep as a dead letter, each with its cause", () => {
    const inputs = [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }, { n: 5 }, { n: 6 }]
    const job = Pipeline.from(Source.list(inputs, { name: "objects" })).pipe(
      Pipeline.filter(({ n }) => n > 1, { name: "value" }),
      Pipeline.filter(({ n }) => Effect.succeed(n > 2), { name: "effect" }),
      Pipeline.filter(async ({ n }) => n > 3, { name: "promise" }),
      Pipeline.map((one) => Effect.map(odd(one.n), () => one), { name: "skip", onError: "skip" }),
      Pipeline.map(({ n }) => Effect.fail(`no ${n}`), {
        name: "keep",
        onError: { deadLetter: Schema.Struct({ n: Schema.Int }) }
      }),
      Pipeline.to(Sink.discard)
    )
    const dry = Pipeline.dryRun(job, { name: "dry", version: "7" }).pipe(Effect.provide(Journal.memory))
    return Effect.runPromise(dry).then((found) => {
      expect(found.counts).toMatchObject({ settled: 6, written: 0, filtered: 3, skipped: 2, dead: 1 })
      expect(found.filtered).toEqual([
        { step: "value", input: inputs[0] },
        { step: "effect", input: inputs[1] },
        { step: "promise", input: inputs[2] }
      ])
      expect(found.skipped).toEqual([
        { step: "skip", input: inputs[3], position: 4, cause: "4 is even" },
        { step: "skip", input: inputs[5], position: 6, cause: "6 is even" }
      ])
      expect(found.skipped[0]?.input).toBe(inputs[3])
      expect(found.dead).toMatchObject([{ step: "keep", input: { n: 5 }, cause: "no 5", position: 5, version: "7" }])
      expect(found.ended).toBe(true)
    })
  })

  it("begins where the next run would, leaves out what is settled beyond it, and changes nothing of that", () => {
    let hangs = true
    const work = (n: number) => (n === 3 && hangs ? Effect.never : Effect.as(Effect.sleep(n === 3 ? 10 : 1), n))
    const job = (n: number) =>
      Pipeline.from(numbers(n)).pipe(
        Pipeline.map(work, { concurrency: 4, order: "completion" }),
        Pipeline.to(Sink.discard)
      )
    const program = Effect.gen(function* () {
      const run = yield* Pipeline.start(job(6), { name: "dry", drainWithin: "100 millis" })
      yield* Effect.sleep(50)
      hangs = false
      // Beside a run that is alive, from what it has committed.
      const beside = yield* Pipeline.dryRun(job(8), { name: "dry", first: 2 })
      yield* run.drain
      yield* run.await
      const journal = yield* Journal.Journal
      const before = yield* journal.load(Journal.keyOf("dry"))
      const dry = yield* Pipeline.dryRun(job(9), { name: "dry", first: 3 })
      expect(yield* journal.load(Journal.keyOf("dry"))).toEqual(before)
      const again = yield* Pipeline.dryRun(job(9), { name: "dry", first: 3, restart: true })
      const { settled } = yield* Pipeline.run(job(9), { name: "dry" })
      return { beside, dry, again, settled }
    })
    const { again, beside, dry, settled } = valueOf(Effect.provide(TaskGroup.open(program), Journal.memory))
    expect([beside.from, dry.from, again.from]).toEqual([Option.some(2), Option.some(2), Option.none()])
    expect(beside.written[0]?.elements).toEqual([7, 3])
    expect(dry.written[0]?.elements).toEqual([7, 8, 3])
    expect(again.written[0]?.elements).toEqual([1, 2, 3])
    expect(settled).toBe(4)
  })

  it("reads the first elements of each of several sources, behind the place of each", () => {
    const job = (n: number) =>
      Pipeline.from(numbers(n)).pipe(
        Pipeline.filter((n) => n !== 4, { name: "own" }),
        Pipeline.merge(Pipeline.from(Source.list([10, 20, 30], { name: "tens" })).pipe(Pipeline.map((n) => -n))),
        Pipeline.to(Sink.discard)
      )
    const program = Effect.gen(function* () {
      yield* Pipeline.run(job(3), { name: "dry" })
      const next = yield* Pipeline.dryRun(job(5), { name: "dry", first: 2 })
      const again = yield* Pipeline.dryRun(job(5), { name: "dry", first: 2, restart: true })
      return [next, again].map(({ ended, filtered, from, written }) => ({ ended, filtered, from, written }))
    })
    const [next, again] = valueOf(Effect.provide(program, Journal.memory))
    expect(next).toEqual({
      ended: false,
      filtered: [{ step: "own", input: 4 }],
      from: Option.some({ numbers: 3, tens: 3 }),
      written: [{ sink: "discard", elements: [5] }]
    })
    expect(again?.written[0]?.elements.toSorted()).toEqual([-10, -20, 1, 2])
  })

  it("P10 fails as the run would where it must not go on, and where a step fails", () => {
    const over = (first: number) => Source.list([first, 2, 3], { name: "numbers" })
    const to = (sink: Sink.Sink<unknown, never, never, "at-least-once">, first = 1) =>
      Pipeline.from(over(first)).pipe(Pipeline.to(sink))
    const program = Effect.gen(function* () {
      yield* Pipeline.run(to(Sink.discard), { name: "dry" })
      const source = yield* Effect.flip(Pipeline.dryRun(to(Sink.discard, 7), { name: "dry" }))
      const other = yield* Effect.flip(
        Pipeline.dryRun(to({ ...Sink.discard, identity: Effect.succeed("b") }), { name: "dry" })
      )
      return [source._tag, other._tag]
    })
    expect(valueOf(Effect.provide(program, Journal.memory))).toEqual(["SourceChanged", "SinkChanged"])
    const failing = Pipeline.from([2, 3]).pipe(Pipeline.map(odd, { name: "odd" }), Pipeline.to(Sink.discard))
    expect(valueOf(Effect.flip(Pipeline.dryRun(failing, { name: "dry" })))).toBe("2 is even")
  })

  it("reads no more of a source than it was asked for", () => {
    let read = 0
    const endless = Stream.range(1, 3).pipe(
      Stream.rechunk(1),
      Stream.tap(() => Effect.sync(() => void (read += 1))),
      Stream.concat(Stream.never)
    )
    const job = Pipeline.from(endless).pipe(Pipeline.to(Sink.discard))
    expect(valueOf(Pipeline.dryRun(job, { name: "dry", first: 3 })).counts.settled).toBe(3)
    expect(read).toBe(3)
  })

  it("opens no sink", () => {
    const closed = Sink.make({
      name: "closed",
      guarantee: "at-least-once",
      open: () => Effect.die(new Error("opened"))
    })
    const sink = Sink.all(
      closed,
      Sink.route({ one: closed, two: closed }, (n: number) => ({ one: [-n], two: [n, n] }))
    )
    const dry = valueOf(Pipeline.dryRun(Pipeline.from([1, 2]).pipe(Pipeline.to(sink)), { name: "dry" }))
    expect(dry.written).toEqual([
      { sink: "closed", elements: [1, 2] },
      { sink: "closed", elements: [-1, -2] },
      { sink: "closed", elements: [1, 1, 2, 2] }
    ])
    expect(dry.counts.written).toBe(2)
  })

  it("adds nothing to frontiers, and only looks at one that it reads", () => {
    const pages = Source.frontier("pages", Schema.String)
    const seeds = Pipeline.from(["a", "b"]).pipe(
      Pipeline.tap((page) => pages.add([page])),
      Pipeline.to(Sink.discard)
    )
    const crawl = Pipeline.from(pages).pipe(
      Pipeline.tap((page) => pages.add([`${page}/1`])),
      Pipeline.to(Sink.discard)
    )
    const program = Effect.gen(function* () {
      const none = yield* Pipeline.dryRun(seeds, { name: "seed" })
      expect(yield* Pipeline.collect(Pipeline.from(pages))).toEqual([])
      yield* Pipeline.run(seeds, { name: "seed" })
      const dry = yield* Pipeline.dryRun(crawl, { name: "crawl", first: 1 })
      expect(yield* Pipeline.collect(Pipeline.from(pages))).toEqual(["a", "b"])
      return [none.written, dry.written]
    })
    expect(valueOf(Effect.provide(program, Journal.memory))).toEqual([
      [
        { sink: "discard", elements: ["a", "b"] },
        { sink: "frontier pages", elements: ["a", "b"] }
      ],
      [
        { sink: "discard", elements: ["a"] },
        { sink: "frontier pages", elements: ["a/1"] }
      ]
    ])
  })

  it("refuses a count of elements that is none", () => {
    const job = Pipeline.from([1]).pipe(Pipeline.to(Sink.discard))
    for (const first of [0, -1, 1.5, Infinity]) {
      expect(exitOf(Pipeline.dryRun(job, { name: "dry", first }))).toMatchObject({
        cause: { reasons: [{ defect: expect.objectContaining({ name: "RangeError" }) }] }
      })
    }
  })
})

const contents = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(parentPath, name)))
        .digest("hex")
    ])

const Line = Schema.Struct({ text: Schema.String })

describe("what is there before a dry run is there after it, and nothing more", () => {
  it.live("of files: those that are written, their journal, and what is read", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const [input, output] = [join(folder, "in.txt"), join(folder, "out.jsonl")]
      const job = Pipeline.from(Files.lines(input)).pipe(
        Pipeline.map((text) => (text === "" ? Effect.fail("empty") : Effect.succeed({ text })), {
          name: "full",
          onError: { deadLetter: Schema.String }
        }),
        Pipeline.to(Files.jsonl(output, Line))
      )
      writeFileSync(input, "a\n\nb\n")
      const before = contents(folder)
      const dry = yield* Pipeline.dryRun(job, { name: "dry" })
      expect(contents(folder)).toEqual(before)
      expect(dry.written).toEqual([{ sink: "out.jsonl", elements: [{ text: "a" }, { text: "b" }] }])
      expect(dry.dead).toMatchObject([{ step: "full", input: "", cause: "empty" }])

      yield* Pipeline.run(job, { name: "dry" })
      writeFileSync(input, "a\n\nb\nc\n\n")
      const ran = contents(folder)
      const next = yield* Pipeline.dryRun(job, { name: "dry" })
      expect(contents(folder)).toEqual(ran)
      expect([next.written[0]?.elements, next.dead.length, next.from]).toEqual([[{ text: "c" }], 1, Option.some(5)])
    }).pipe(Effect.provide(Main.layer))
  )

  it.live.each(databases)("of tables and a frontier in $database", ({ database, direct, url }) =>
    Effect.gen(function* () {
      const place = yield* url
      const opened = Db.open(place).pipe(Layer.provide(Drivers.layer))
      const todo = Source.frontier("todo", Line, { key: "text" })
      const copy = (texts: ReadonlyArray<string>) =>
        Pipeline.from(Source.list(texts, { name: "texts" })).pipe(
          Pipeline.map((text) => ({ text })),
          Pipeline.tap((line) => todo.add([line])),
          Pipeline.to(Db.table("lines", Line, { key: "text" }))
        )
      const work = Pipeline.from(todo).pipe(Pipeline.to(Db.table("done", Line)))
      const names =
        database === "SQLite"
          ? "SELECT name FROM sqlite_master ORDER BY name"
          : "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
      const state = Effect.gen(function* () {
        const tables = (yield* direct(place, names)).map(({ name }) => String(name))
        if (database === "SQLite") return { tables, kept: contents(join(place, "..")) }
        const rows = yield* Effect.forEach(tables, (table) => direct(place, `SELECT * FROM ${table} ORDER BY 1`))
        return { tables, kept: rows }
      })
      const inDb = <A, E>(effect: Effect.Effect<A, E, Db.Db | Journal.Journal>) => Effect.provide(effect, opened)

      yield* inDb(Db.execute`SELECT 1`)
      const before = yield* state
      const first = yield* inDb(Pipeline.dryRun(copy(["a", "b"]), { name: "copy" }))
      const none = yield* inDb(Pipeline.dryRun(work, { name: "work" }))
      expect(yield* state).toEqual(before)
      expect(before.tables).toEqual([])
      expect(first.written).toEqual([
        { sink: "table lines", elements: [{ text: "a" }, { text: "b" }] },
        { sink: "frontier todo", elements: [{ text: "a" }, { text: "b" }] }
      ])
      expect(none.counts.settled).toBe(0)

      yield* inDb(Pipeline.run(copy(["a", "b"]), { name: "copy" }))
      const ran = yield* state
      const next = yield* inDb(Pipeline.dryRun(copy(["a", "b", "c"]), { name: "copy" }))
      const taken = yield* inDb(Pipeline.dryRun(work, { name: "work", first: 1 }))
      expect(yield* state).toEqual(ran)
      expect(next.written[0]?.elements).toEqual([{ text: "c" }])
      expect(taken.written).toEqual([{ sink: "table done", elements: [{ text: "a" }] }])
    })
  )
})
