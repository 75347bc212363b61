/** What a job says of itself before it runs. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Files, Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { numbers, valueOf } from "../support/jobs.ts"

const Row = Schema.Struct({ id: Schema.Int })
const array = Pipeline.from([1])
const rows = Pipeline.from(Source.list([{ id: 1 }], { name: "rows" }))
const table = Db.table("rows", Row)
const file = Files.jsonl("rows.jsonl", Row)

/** What is said under the line that begins so. */
const under = (text: string, head: string): ReadonlyArray<string> => {
  const lines = text.split("\n")
  const from = lines.findIndex((line) => line.startsWith(head))
  const rest = lines.slice(from + 1)
  const to = rest.findIndex((line) => !line.startsWith("   "))
  return rest.slice(0, to === -1 ? undefined : to).map((line) => line.trim())
}

describe("Pipeline.explain", () => {
  it("says in order what source, steps and sinks do, what is held at most, and where the place is kept", () => {
    const job = Pipeline.from(Files.lines("urls.txt")).pipe(
      Pipeline.map((line) => Effect.succeed({ id: line.length }), {
        name: "fetch",
        concurrency: 64,
        order: "completion",
        onError: { deadLetter: Schema.String, maxDead: "10%" }
      }),
      Pipeline.filter(({ id }) => id > 1, { name: "long", concurrency: 64, order: "completion", onError: "skip" }),
      Pipeline.batch(100, { name: "pack", within: "1 second" }),
      Pipeline.flatMap((all) => all, { name: "unpack" }),
      Pipeline.to(table, { onError: { deadLetter: Row } })
    )
    const { text } = Pipeline.explain(job, { window: { items: 500, bytes: 1024 }, maxRows: 1, commitEvery: "1 minute" })
    expect(text.split("\n")).toEqual([
      "from   urls.txt",
      "         with positions: a run goes on behind what is settled",
      "         at most 500 elements and 1 KiB are open at once",
      "step   fetch + long",
      "         64 workers; results leave as they complete",
      "         fetch: what it fails on is kept as a dead letter, 10% at most, or the run ends",
      "         long: drops what is not true; what it fails on is dropped and counted",
      "step   pack",
      "         arrays of 100, after 1s at the latest",
      "step   unpack",
      "         1 worker, in order",
      "         one becomes many, which settle together",
      "         an error ends the run",
      "to     table rows",
      "         exactly-once",
      "         at most 1 element a write",
      "         a commit every 1m, or once half a window is ready, or it is full",
      "         what it fails on is kept as a dead letter",
      "dead   dead letters",
      "         kept with the place of the run; Pipeline.replay runs them again",
      "keeps  its place",
      "         in the database of table rows, in the transactions that write its rows",
      "gives  exactly-once",
      "         nothing is lost and nothing is there twice, however often a run is killed and goes on",
      "         what steps do to others may be done again: Pipeline.idempotencyKey is the same then"
    ])
  })

  it("tells workers, keys and policies of a step", () => {
    const same = (n: number) => n
    const step = (step: (numbers: typeof array) => Pipeline.Pipeline<number, any, any, Source.NoPosition>) =>
      under(Pipeline.explain(step(array).pipe(Pipeline.to(Sink.discard))).text, "step").slice(0, -1)
    expect(step(Pipeline.map(same))).toEqual(["1 worker, in order"])
    expect(step(Pipeline.map(same, { concurrency: { min: 2, max: 9 } }))).toEqual([
      "2 to 9 workers, as many as is quickest; results keep the order of their inputs"
    ])
    expect(step(Pipeline.map(same, { concurrency: 4, key: same, perKey: 2 }))).toEqual([
      "4 workers, 2 elements of a key at once; in order within a key, not across keys"
    ])
    expect(
      step(
        Pipeline.map(same, {
          retry: { retries: 1, backoff: { base: "1 second", factor: 3, cap: "1 minute" }, retryWhile: () => true },
          timeout: { attempt: "5 seconds", total: "2 minutes" },
          rate: { limit: 10, per: "1 second", burst: 5 },
          ratePerKey: { limit: 1, per: "1 second" },
          key: same
        })
      )
    ).toEqual([
      "1 worker, one element of a key at a time; in order within a key, not across keys",
      "2m for all attempts",
      "tried again up to 1 time where its error is worth it, after 1s, 3 times as long each time, 1m at most, all at random below that",
      "10 attempts in 1s at most, 5 at once after a pause",
      "1 attempt in 1s at most of one key",
      "5s for an attempt"
    ])
    const parked = { deadLetter: Schema.Number, defects: true, parkKey: true, maxDead: 3 }
    const failing = Pipeline.from([1]).pipe(
      Pipeline.map((n) => n, { key: (n) => n, onError: parked }),
      Pipeline.to(Sink.discard)
    )
    expect(under(Pipeline.explain(failing).text, "step").at(-1)).toBe(
      "what it fails on, or throws for, is kept as a dead letter, and so is what follows of its key, 3 at most, or the run ends"
    )
  })

  const guarantees: ReadonlyArray<
    readonly [Pipeline.Job<unknown, unknown, Pipeline.Delivery>, string, string | undefined]
  > = [
    [rows.pipe(Pipeline.to(table)), "exactly-once", undefined],
    [
      rows.pipe(Pipeline.to(Sink.all(table, file))),
      "effectively-once",
      "not more because of rows.jsonl: what was not committed is undone when it is opened again, and not in a transaction"
    ],
    [
      rows.pipe(Pipeline.to(Sink.all(table, file, Sink.discard))),
      "at-least-once",
      "not more because of discard: what it has done is not undone after a crash"
    ],
    [
      Pipeline.from([{ id: 1 }]).pipe(Pipeline.to(table)),
      "at-most-once",
      "not more because of stream: it has no positions"
    ]
  ]

  it.each(guarantees)(
    "P3 says which guarantee and why not more, as the compiler does: %#",
    (job, guarantee, because) => {
      const said = under(Pipeline.explain(job).text, `gives  ${guarantee}`)
      expect(job.guarantee).toBe(guarantee)
      expect(said.find((line) => line.startsWith("not more"))).toBe(because)
      expect(said.some((line) => line.startsWith(`This job is ${guarantee}: for `))).toBe(because !== undefined)
    }
  )

  it("P10 says where its place is kept, and what needs no journal", () => {
    const place = (job: Pipeline.Job<any, any, Pipeline.Delivery>) => under(Pipeline.explain(job).text, "keeps")[0]
    const array = Pipeline.from([{ id: 1 }])
    expect(place(rows.pipe(Pipeline.to(Sink.all(file, table))))).toBe(
      "in the database of table rows, in the transactions that write its rows"
    )
    expect(place(array.pipe(Pipeline.to(file)))).toBe(
      "in the journal of the program, or in one beside rows.jsonl where it gives none"
    )
    expect(place(rows.pipe(Pipeline.to(Sink.discard)))).toContain("in the journal of the program: Files.journal")
    expect(place(array.pipe(Pipeline.to(Sink.discard)))).toContain("it needs no journal")
    expect(place(array.pipe(Pipeline.to(Sink.discard, { onError: { deadLetter: Row } })))).toContain("Files.journal")
  })

  it("shows the stations that the engine makes, whatever is next to what", () => {
    const steps = [
      Pipeline.map((n: number) => n),
      Pipeline.map((n: number) => n, { concurrency: 2 }),
      Pipeline.filter(() => true, { concurrency: 2 }),
      Pipeline.map((n: number) => n, { concurrency: 2, order: "completion" }),
      Pipeline.flatMap((n: number) => [n], { concurrency: 2, order: "completion" }),
      Pipeline.map((n: number) => n, { concurrency: 2, order: "completion" }),
      Pipeline.map((n: number) => n, { concurrency: { min: 1, max: 2 } }),
      Pipeline.map((n: number) => n, { key: (n) => n }),
      Pipeline.tap(() => {}, { retry: {} })
    ]
    for (let first = 0; first < steps.length; first++) {
      const turned = [...steps.slice(first), ...steps.slice(0, first)]
      const job = turned
        .reduce(
          (pipeline: Pipeline.Pipeline<number, any, never, number>, step) => step(pipeline as never) as never,
          Pipeline.from(numbers(1))
        )
        .pipe(Pipeline.to(Sink.discard))
      const run = TaskGroup.open(Effect.flatMap(Pipeline.start(job, { name: "run" }), ({ steps }) => steps))
      const named = valueOf(Effect.provide(run, Journal.memory)).map(({ name }) => name)
      const shown = Pipeline.explain(job)
        .text.split("\n")
        .filter((line) => line.startsWith("step"))
      expect([...shown.flatMap((line) => line.slice("step   ".length).split(" + ")), "discard"]).toEqual(named)
      expect(shown.some((line) => line.includes(" + "))).toBe(true)
    }
  })

  it("opens nothing, reads nothing and runs nothing", () => {
    const no = Effect.die(new Error("run"))
    const never = () => {
      throw new Error("called")
    }
    const source: Source.Source<number, never, never, number> = {
      name: "source",
      resumable: true,
      size: no,
      fingerprint: never,
      changed: never,
      places: no,
      settled: never,
      account: no,
      read: () => Stream.die(new Error("read"))
    }
    const sink = Sink.make<number, never, never, "at-least-once">({
      name: "sink",
      guarantee: "at-least-once",
      identity: no,
      form: no,
      places: no,
      journal: no,
      home: no,
      preview: never,
      open: never
    })
    const job = Pipeline.from(source).pipe(
      Pipeline.map(never, { key: never, catch: never }),
      Pipeline.to(Sink.all(sink, Sink.route({ sink }, never)))
    )
    expect(Pipeline.explain(job).text).toContain("keeps account of its elements")
  })

  it("shows no secrets, and no characters that a terminal would obey", () => {
    const { mermaid, text } = Pipeline.explain(
      Pipeline.from(Source.list([1], { name: "https://ada:pw@host/?token=pw" })).pipe(
        Pipeline.map((n) => n, { name: "a\u001B[2Jb" }),
        Pipeline.to(Sink.discard)
      )
    )
    expect(text).toContain("from   https://***@host/?token=***\n")
    for (const secret of ["pw", "\u001B"]) expect(text + mermaid).not.toContain(secret)
  })
})

/** What Mermaid reads of a flowchart, as much of it as is used here; throws where it would not read it. */
const parsed = (mermaid: string) => {
  const [first, ...rest] = mermaid.split("\n")
  expect(first).toBe("flowchart TD")
  const boxes = new Map<string, string>()
  const arrows: Array<readonly [from: string, label: string | undefined, to: string]> = []
  const ends: Readonly<Record<string, string>> = { "[": "]", "([": "])", "[(": ")]", "{{": "}}" }
  const plain = String.raw`(?:[\p{L}\p{N} .,:/()+_-]|#\d+;)+`
  const texts = new RegExp(`^${plain}(?:<br/>${plain})*$`, "u")
  for (const line of rest) {
    const [, id, open, text, close] = /^ {2}([a-z]+\d+)(\(\[|\[\(|\[|\{\{)"([^"]*)"([\])}]+)$/.exec(line) ?? []
    if (id !== undefined) {
      expect(close).toBe(ends[open!])
      expect(text).toMatch(texts)
      expect(boxes.has(id)).toBe(false)
      boxes.set(
        id,
        text!.replaceAll(/#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code))).split("<br/>")[0]!
      )
      continue
    }
    const arrow = /^ {2}([a-z]+\d+) (?:-->|-\. (.+) \.->) ([a-z]+\d+)$/.exec(line)
    expect(arrow, line).not.toBeNull()
    const [, from, label, to] = arrow!
    if (label !== undefined) expect(label).toMatch(texts)
    expect(boxes.has(from!) && boxes.has(to!)).toBe(true)
    arrows.push([boxes.get(from!)!, label, boxes.get(to!)!])
  }
  return { boxes: [...boxes.values()], arrows }
}

describe("the picture of it", () => {
  it("has a box for each part, and arrows where elements go", () => {
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => n, { name: "one", onError: { deadLetter: Schema.Number } }),
      Pipeline.batch(2, { name: "two" }),
      Pipeline.to(Sink.route({ a: table, b: Sink.discard }, () => ({})))
    )
    expect(parsed(Pipeline.explain(job).mermaid)).toEqual({
      boxes: ["numbers", "one", "two", "table rows", "discard", "dead letters", "its place", "at-least-once"],
      arrows: [
        ["numbers", undefined, "one"],
        ["one", undefined, "two"],
        ["two", undefined, "table rows"],
        ["two", undefined, "discard"],
        ["one", "fails on", "dead letters"],
        ["table rows", "gives", "at-least-once"],
        ["discard", "gives", "at-least-once"],
        ["at-least-once", "keeps", "its place"]
      ]
    })
  })

  it("shows where pipelines meet", () => {
    const letters = Pipeline.from(Source.list(["a"], { name: "letters" })).pipe(Pipeline.map((text) => text.length))
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => n, { name: "own" }),
      Pipeline.zip(Pipeline.from([1])),
      Pipeline.map(([n]) => n, { name: "left" }),
      Pipeline.merge(letters),
      Pipeline.to(Sink.discard)
    )
    const { mermaid, text } = Pipeline.explain(job)
    expect(parsed(mermaid).arrows.slice(0, 8)).toEqual([
      ["numbers", undefined, "own"],
      ["own", undefined, "zip"],
      ["stream", undefined, "zip"],
      ["zip", undefined, "left"],
      ["letters", undefined, "map-3"],
      ["left", undefined, "merge"],
      ["map-3", undefined, "merge"],
      ["merge", undefined, "discard"]
    ])
    expect(under(text, "meet   zip")).toEqual(["pairs of elements of these, in order; it ends with the shorter one"])
    expect(under(text, "meet   merge")).toEqual([
      "elements of all of these, as they come",
      "at most 1,024 elements and 64 MiB are open at once, or two batches where the sink prefers larger ones"
    ])
    expect(under(text, "gives")).toContain("not more because of stream: it has no positions")
  })

  it.each([
    '"]; click from1 "javascript:alert(1)"',
    "</script><img src=x>",
    "two\nlines\r\n  from1 --> from1",
    "%%{init: {}}%%",
    "`**bold**` [a](b) {{c}} |d|",
    "#quot; #35; &lt; ; end",
    "subgraph end style",
    "Übergröße 数 🧶"
  ])("is read by Mermaid whatever the name of a step, which is what it shows: %#", (name) => {
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => n, { name }),
      Pipeline.to(Sink.discard)
    )
    const { boxes } = parsed(Pipeline.explain(job).mermaid)
    expect(boxes[1]!.replaceAll(/\s+/g, " ")).toBe(name.replaceAll(/\s+/g, " "))
  })
})
