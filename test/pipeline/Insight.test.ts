/** What a run tells of itself: counts of each step, metrics, spans (P11). */
import { assert, describe, expect, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { createServer } from "node:http"
import { Fetch, Journal, Pipeline, Policy, Sink, Source, TaskGroup } from "skein"
import { Http } from "skein/node"
import { after, errorOf, numbers, valueOf } from "../support/jobs.ts"
import * as Origin from "../support/origin.ts"
import * as Store from "../support/store.ts"

const kept = { deadLetter: Schema.Number }
const once = { retries: 1, backoff: { base: 0 } }

/** Of ten elements: 2 and 3 fail at first, 4 is dropped, 5 kept, and 6 filtered out. */
const work = () => {
  const failed = new Set<number>()
  const flaky = (n: number) =>
    Effect.suspend(() => {
      if (n > 3 || n < 2 || failed.has(n)) return after(10, n)
      failed.add(n)
      return Effect.fail("busy")
    })
  return Pipeline.from(numbers(10)).pipe(
    Pipeline.map((n) => Policy.apply(flaky(n), once), { name: "flaky", concurrency: 2, onError: "skip" }),
    Pipeline.filter((n) => (n === 4 ? Effect.fail("four") : n !== 6), { name: "some", onError: "skip" }),
    Pipeline.map((n) => (n === 5 ? Effect.fail("five") : n), { name: "sure", concurrency: 3, onError: kept }),
    Pipeline.flatMap((n) => [n, -n], { name: "both", concurrency: 4 }),
    Pipeline.to(Sink.forEach((n: number) => after(n === 1 ? 30 : 0, n), { name: "out" }))
  )
}

const steps = [
  { name: "flaky", concurrency: 2, taken: 10, given: 10, retries: 2, skipped: 0, dead: 0, waiting: 0, working: 0 },
  { name: "some", concurrency: 1, taken: 10, given: 8, retries: 0, skipped: 1, dead: 0, waiting: 0, working: 0 },
  { name: "sure", concurrency: 3, taken: 8, given: 7, retries: 0, skipped: 0, dead: 1, waiting: 0, working: 0 },
  { name: "both", concurrency: 4, taken: 7, given: 14, retries: 0, skipped: 0, dead: 0, waiting: 0, working: 0 },
  { name: "out", concurrency: 1, taken: 14, given: 14, retries: 0, skipped: 0, dead: 0, waiting: 0, working: 0 }
]

/** The number of one series, by the beginning of its line in the text for Prometheus. */
const valueIn = (text: string, line: string): number => {
  const found = text.split("\n").find((one) => one.startsWith(`${line} `))
  assert.isDefined(found, `${line} in\n${text}`)
  return Number(found.slice(line.length))
}

/** With metrics of its own. */
const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map() as never))

describe("P11 of each step", () => {
  it("progress tells how many elements it took and gave, what it retried, dropped and kept, and how long it took", () => {
    const [told, summary] = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(work(), { name: "steps" })
        const summary = yield* run.await
        return [yield* run.progress, summary] as const
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
    expect(told.steps).toMatchObject(steps)
    expect(summary).toMatchObject({ settled: 10, written: 14, skipped: 1, dead: 1, filtered: 1, retries: 2 })
    const [flaky, , sure, both, out] = told.steps.map(({ latency }) => Option.getOrUndefined(latency))
    expect(Duration.toMillis(flaky!.mean)).toBe(10)
    expect(Duration.toMillis(flaky!.p99)).toBe(10)
    // It has waited for nothing, but for the element that failed.
    expect([both, Duration.toMillis(sure!.p99)]).toEqual([undefined, 0])
    expect(Duration.toMillis(out!.p99)).toBe(30)
    expect(Duration.toMillis(out!.mean)).toBeGreaterThan(0)
  })

  it("and how long most and the slowest of them took, each in proportion, also where only some are timed", () => {
    const millis = (n: number) => (n <= 1600 ? 1 : n % 40 === 0 ? 900 : 4)
    const job = Pipeline.from(numbers(2400)).pipe(
      Pipeline.map((n) => after(millis(n), n), { name: "slow" }),
      Pipeline.to(Sink.discard)
    )
    const [{ latency, taken }] = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "slow" })
        yield* run.await
        return (yield* run.steps) as [Pipeline.StepProgress]
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
    expect(taken).toBe(2400)
    const { mean, p99 } = Option.getOrThrow(latency)
    // 1600 of 1, 780 of 4, 20 of 900: those are 0.8 in 100.
    expect(Duration.toMillis(p99)).toBe(5)
    expect(Duration.toMillis(mean)).toBeCloseTo((1600 + 780 * 4 + 20 * 900) / 2400, 0)
  })

  it("is told apart from its neighbours where they share their workers", () => {
    const tried = new Set<number>()
    const flaky = (n: number) =>
      Effect.suspend(() => (n % 4 !== 0 || tried.has(n) ? after(20, n) : (tried.add(n), Effect.fail("busy"))))
    const job = Pipeline.from(numbers(8)).pipe(
      Pipeline.map((n) => n + 0, { name: "plain", concurrency: 2 }),
      Pipeline.map((n) => after(5, n), { name: "quick", concurrency: 2 }),
      Pipeline.filter((n) => n !== 2, { name: "some", concurrency: 2 }),
      Pipeline.map((n) => Policy.apply(flaky(n), once), { name: "slow", concurrency: 2 }),
      Pipeline.to(Sink.discard)
    )
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "apart" })
        yield* Effect.sleep(7)
        expect(yield* run.steps).toMatchObject([
          { name: "plain", waiting: 5, taken: 3, given: 3, working: 0 },
          { name: "quick", waiting: 0, taken: 3, given: 2, working: 1 },
          { name: "some", waiting: 0, taken: 2, given: 1, working: 0 },
          { name: "slow", waiting: 0, taken: 1, given: 0, working: 1 },
          { name: "discard" }
        ])
        yield* run.await
        const steps = yield* run.steps
        expect(steps.map(({ given, retries, taken }) => [taken, given, retries])).toEqual([
          [8, 8, 0],
          [8, 8, 0],
          [8, 7, 0],
          [7, 7, 2],
          [7, 7, 0]
        ])
        const millis = steps.map(({ latency }) => Option.map(latency, ({ mean }) => Duration.toMillis(mean)))
        expect(millis.slice(0, 4)).toEqual([Option.none(), Option.some(5), Option.none(), Option.some(20)])
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })

  it("its handle tells while it runs what waits, is worked on and is written", () => {
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map((n) => after(10, n), { name: "slow", concurrency: 2 }),
      Pipeline.to(Sink.forEach(() => Effect.sleep(1000), { name: "slower" }))
    )
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "stands", commitEvery: 0 })
        yield* Effect.sleep(15)
        expect(yield* run.steps).toMatchObject([
          { name: "slow", waiting: 6, working: 2, taken: 4, given: 2 },
          { name: "slower", waiting: 0, working: 2, taken: 0, given: 0 }
        ])
        yield* Effect.sleep(20)
        expect(yield* run.steps).toMatchObject([
          { waiting: 2, working: 2, taken: 8, given: 6 },
          { waiting: 4, working: 2 }
        ])
        yield* run.await
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })
})

describe("P11 metrics", () => {
  const read = (text: string, name: string, step: string) =>
    valueIn(text, `skein_step_${name}{pipeline="metered",step="${step}"}`)

  it("are what runs have counted, of one after the other and of some beside one another, and of those that failed", () => {
    const job = Pipeline.from(numbers(4)).pipe(
      Pipeline.map((n) => (n === 4 ? Effect.fail("four") : after(10, n)), { name: "slow" }),
      Pipeline.to(Sink.discard)
    )
    valueOf(
      Effect.gen(function* () {
        const summary = yield* Pipeline.run(work(), { name: "metered" })
        const text = yield* PrometheusMetrics.format()
        for (const { dead, given, name, retries, skipped, taken } of steps) {
          const counts = ["items_total", "output_total", "retries_total", "skipped_total", "dead_total"]
          expect(counts.map((count) => read(text, count, name))).toEqual([taken, given, retries, skipped, dead])
          expect([read(text, "waiting", name), read(text, "working", name)]).toEqual([0, 0])
        }
        for (const key of ["settled", "written", "filtered", "skipped", "dead", "retries"] as const) {
          expect(valueIn(text, `skein_run_${key}_total{pipeline="metered"}`)).toBe(summary[key])
        }
        expect(read(text, "duration_seconds_count", "flaky")).toBe(10)
        expect(read(text, "duration_seconds_sum", "flaky")).toBeCloseTo(0.1, 6)
        expect(valueIn(text, `skein_step_duration_seconds_bucket{pipeline="metered",step="flaky",le="0.005"}`)).toBe(0)
        expect(valueIn(text, `skein_step_duration_seconds_bucket{pipeline="metered",step="flaky",le="0.01"}`)).toBe(10)

        // Two partitions beside one another, one of them at work when somebody looks, and a run again.
        yield* Pipeline.run(work(), { name: "metered", restart: true })
        yield* TaskGroup.open(
          Effect.gen(function* () {
            const failing = yield* Pipeline.start(job, { name: "beside", partition: "a", commitEvery: 0 })
            const other = yield* Pipeline.start(job, { name: "beside", partition: "b", commitEvery: 0 })
            yield* Effect.sleep(15)
            const now = yield* PrometheusMetrics.format()
            const slow = `pipeline="beside",partition="a",step="slow"`
            expect(valueIn(now, `skein_step_working{${slow}}`)).toBe(1)
            expect(valueIn(now, `skein_step_items_total{${slow}}`)).toBe(2)
            expect(valueIn(now, `skein_run_lag{pipeline="beside",partition="b"}`)).toBe(3)
            for (const run of [failing, other]) expect(yield* Effect.flip(run.await)).toBe("four")
          })
        )
        const end = yield* PrometheusMetrics.format()
        expect(read(end, "items_total", "flaky")).toBe(20)
        expect(read(end, "duration_seconds_count", "flaky")).toBe(20)
        for (const partition of ["a", "b"]) {
          const of = `pipeline="beside",partition="${partition}"`
          expect(valueIn(end, `skein_run_written_total{${of}}`)).toBe(3)
          expect(valueIn(end, `skein_run_lag{${of}}`)).toBe(0)
          expect(valueIn(end, `skein_step_working{${of},step="slow"}`)).toBe(0)
        }
        expect(end).not.toContain("collect")
      }).pipe(fresh, Effect.provide(Journal.memory))
    )
  })

  it("of two runs that share a name, over two journals, are the sum of both", () => {
    const job = (n: number) =>
      Pipeline.from(numbers(n)).pipe(
        Pipeline.map((n) => after(10, n), { name: "slow" }),
        Pipeline.to(Sink.discard)
      )
    const text = valueOf(
      Effect.gen(function* () {
        const run = (n: number) =>
          Effect.provide(Pipeline.run(job(n), { name: "two" }), Journal.memory, { local: true })
        yield* Effect.all([run(3), run(5)], { concurrency: 2 })
        return yield* PrometheusMetrics.format()
      }).pipe(fresh)
    )
    expect(valueIn(text, `skein_step_items_total{pipeline="two",step="slow"}`)).toBe(8)
  })
})

/** Keeps the spans that are made. */
const gathering = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, named: (name: string) => spans.filter((span) => span.name === name), tracer }
}

const told = ({ attributes }: Tracer.NativeSpan) => Object.fromEntries(attributes)

describe("P11 spans", () => {
  it("are one a run, one a commit below it, and none of elements", () => {
    const { named, spans, tracer } = gathering()
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map((n) => after(10, n)),
      Pipeline.to(store.table)
    )
    const run = Pipeline.run(job, { name: "spans", partition: "p", commitEvery: 0 })
    valueOf(Effect.provideService(Effect.provide(run, Journal.memory), Tracer.Tracer, tracer))
    expect(new Set(spans.map(({ name }) => name))).toEqual(new Set(["pipeline spans", "commit"]))
    const [whole] = named("pipeline spans")
    expect(told(whole!)).toEqual({
      pipeline: "spans",
      partition: "p",
      guarantee: "exactly-once",
      outcome: "done",
      settled: 10,
      written: 10,
      filtered: 0,
      skipped: 0,
      dead: 0,
      retries: 0,
      watermark: "10"
    })
    const commits = named("commit").map(told)
    const sum = (key: string) => commits.reduce((all, commit) => all + (commit[key] as number), 0)
    expect([sum("rows"), sum("elements")]).toEqual([10, 10])
    expect(commits.filter(({ rows }) => rows === 1).map(({ attempts, watermark }) => [attempts, watermark])).toEqual(
      Array.from({ length: 10 }, (_, i) => [1, `${i + 1}`])
    )
    for (const { parent, status } of named("commit").slice(1)) {
      expect(Option.getOrThrow(parent)).toBe(whole)
      expect(status).toMatchObject({ _tag: "Ended" })
    }
  })

  it("of a commit that is tried again say how often, and those of what failed say that", () => {
    const { named, tracer } = gathering()
    let left = 2
    const sink = Sink.forEach((n: number) => (n === 2 && left-- > 0 ? Effect.fail("busy") : Effect.succeed(n)))
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(sink, { retry: { backoff: { base: 1 } } }))
    valueOf(
      Effect.provideService(Effect.provide(Pipeline.run(job, { name: "again" }), Journal.memory), Tracer.Tracer, tracer)
    )
    expect(Math.max(...named("commit").map((span) => told(span)["attempts"] as number))).toBe(3)
    left = 9
    const failing = Pipeline.run(job, { name: "never" }).pipe(Effect.provide(Journal.memory))
    expect(errorOf(Effect.provideService(failing, Tracer.Tracer, tracer))).toBe("busy")
    const failed = named("pipeline never")[0]!.status
    assert(failed._tag === "Ended")
    expect(Exit.isFailure(failed.exit)).toBe(true)
  })

  it("are made of one element in so many where that is asked for, of each attempt of each step that waits", () => {
    const { named, tracer } = gathering()
    const inner = (n: number) => Effect.withSpan(after(1, n), "inside")
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map(inner, { name: "one", concurrency: 3 }),
      Pipeline.flatMap((n) => [n, -n], { name: "two" }),
      Pipeline.map((n) => after(1, n), { name: "three" }),
      Pipeline.to(Sink.discard)
    )
    const run = Pipeline.run(job, { name: "sampled", trace: { every: 4 } })
    valueOf(Effect.provideService(Effect.provide(run, Journal.memory), Tracer.Tracer, tracer))
    const at = (name: string) =>
      named(name)
        .map(told)
        .map(({ path, position }) => `${position}${path}`)
    expect(at("step one")).toEqual(["1", "5", "9"])
    expect(at("step two")).toEqual([])
    expect(at("step three")).toEqual(["1/0", "1/1", "5/0", "5/1", "9/0", "9/1"])
    expect(told(named("step one")[0]!)).toMatchObject({ pipeline: "sampled", step: "one", attempt: 1 })
    const parents = named("inside").map(({ parent }) => Option.getOrThrow(parent) as Tracer.Span)
    expect(parents.map(({ name }) => name)).toEqual(["step one", "step one", "step one"])
  })

  it("are not made where nobody gathers them", async () => {
    let isTraced = false
    const job = Pipeline.from(numbers(2)).pipe(
      Pipeline.map((n) =>
        Effect.map(Effect.option(Effect.currentSpan), (span) => {
          isTraced ||= Option.isSome(span)
          return n
        })
      ),
      Pipeline.to(Sink.discard)
    )
    await Effect.runPromise(
      Effect.provide(Pipeline.run(job, { name: "untraced", trace: { every: 1 } }), Journal.memory)
    )
    expect(isTraced).toBe(false)
  })
})

const collector = { url: (origin: Origin.Origin, what: string) => `${origin.url}/v1/${what}` }

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
const labels = (attributes: ReadonlyArray<KeyValue>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

describe("P11 over the network", () => {
  it.live(
    "a collector of OTLP is sent the spans, with requests below the element that they are made for, and the metrics",
    () =>
      Effect.gen(function* () {
        const origin = yield* Origin.start({
          "/v1/traces": { body: {} },
          "/v1/metrics": { body: {} },
          "/item": ({ query }) => ({ body: { id: Number(query.get("id")) } })
        })
        const otlp = Layer.merge(
          OtlpTracer.layer({ url: collector.url(origin, "traces"), resource: { serviceName: "shop" } }),
          OtlpMetrics.layer({ url: collector.url(origin, "metrics"), resource: { serviceName: "shop" } })
        ).pipe(Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer]))
        const Item = Schema.Struct({ id: Schema.Int })
        const job = Pipeline.from(Source.list(["1", "2", "3"], { name: "ids" })).pipe(
          Pipeline.map((id) => Fetch.json(Item)(`${origin.url}/item?id=${id}`), { name: "get" }),
          Pipeline.to(Sink.discard)
        )
        const summary = yield* Pipeline.run(job, { name: "items", trace: { every: 3 } }).pipe(
          Effect.provide([Journal.memory, Http.layer({ spans: true }), otlp]),
          fresh
        )
        assert.deepEqual(summary.written, 3)

        const bodies = (path: string) =>
          origin.requests.filter((request) => request.path === path).map(({ body }) => JSON.parse(body))
        const spans = bodies("/v1/traces").flatMap(
          ({ resourceSpans }) => resourceSpans[0].scopeSpans[0].spans
        ) as ReadonlyArray<{
          readonly name: string
          readonly spanId: string
          readonly traceId: string
          readonly parentSpanId?: string
          readonly attributes: ReadonlyArray<KeyValue>
        }>
        const [whole] = spans.filter(({ name }) => name === "pipeline items")
        assert.isDefined(whole)
        assert.deepInclude(labels(whole.attributes), { pipeline: "items", settled: 3, written: 3, outcome: "done" })
        const commits = spans.filter(({ name, parentSpanId }) => name === "commit" && parentSpanId === whole.spanId)
        assert.strictEqual(
          commits.reduce((sum, { attributes }) => sum + (labels(attributes)["rows"] as number), 0),
          3
        )
        const sampled = spans.filter(({ name }) => name === "step get")
        assert.deepEqual(
          sampled.map(({ attributes }) => labels(attributes)["position"]),
          ["1"]
        )
        const requests = spans.filter(({ name }) => name === "GET")
        const below = requests.filter(({ parentSpanId }) => parentSpanId === sampled[0]!.spanId)
        assert.deepEqual(below, requests)
        assert.deepEqual(
          below.map(({ attributes }) => labels(attributes)["url.full"]),
          [`${origin.url}/item?id=1`]
        )
        assert.deepEqual(new Set(spans.filter(({ name }) => name !== "commit").map(({ traceId }) => traceId)).size, 1)

        const metrics = bodies("/v1/metrics").at(-1).resourceMetrics[0].scopeMetrics[0].metrics as ReadonlyArray<{
          readonly name: string
          readonly unit: string
          readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: ReadonlyArray<Point> }
          readonly gauge?: { readonly dataPoints: ReadonlyArray<Point> }
          readonly histogram?: { readonly dataPoints: ReadonlyArray<Point> }
        }>
        interface Point {
          readonly attributes: ReadonlyArray<KeyValue>
          readonly asDouble?: number
          readonly count?: number
          readonly sum?: number
        }
        const metric = (name: string) => {
          const found = metrics.find((one) => one.name === name)
          assert.isDefined(found, name)
          return found
        }
        const { isMonotonic, dataPoints } = metric("skein_run_written_total").sum!
        assert.isTrue(isMonotonic)
        assert.deepEqual(
          dataPoints.map(({ asDouble, attributes }) => [labels(attributes), asDouble]),
          [[{ pipeline: "items" }, 3]]
        )
        assert.deepEqual(
          metric("skein_step_items_total").sum!.dataPoints.map(({ asDouble, attributes }) => [
            labels(attributes)["step"],
            asDouble
          ]),
          [
            ["get", 3],
            ["discard", 3]
          ]
        )
        assert.strictEqual(metric("skein_run_in_flight").gauge!.dataPoints[0]!.asDouble, 0)
        const took = metric("skein_step_duration_seconds")
        assert.strictEqual(took.unit, "s")
        const [get] = took.histogram!.dataPoints
        assert.isAbove(get!.count!, 0)
        assert.isAbove(get!.sum!, 0)
      }).pipe(Effect.scoped)
  )

  it.live("a server of Prometheus scrapes the metrics, as the summary has them", () =>
    Effect.gen(function* () {
      const registry = new Map()
      const server = createServer()
      const serving = HttpRouter.serve(PrometheusMetrics.layerHttp(), {
        disableLogger: true,
        disableListenLog: true
      }).pipe(Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })))
      yield* Effect.gen(function* () {
        const summary = yield* Pipeline.run(work(), { name: "scraped" })
        const address = server.address() as { readonly port: number }
        const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${address.port}/metrics`))
        assert.include(response.headers.get("content-type"), "text/plain")
        const text = yield* Effect.promise(() => response.text())
        for (const key of ["settled", "written", "filtered", "skipped", "dead", "retries"] as const) {
          assert.strictEqual(valueIn(text, `skein_run_${key}_total{pipeline="scraped"}`), summary[key])
        }
        assert.include(text, "# TYPE skein_step_items_total counter")
        assert.include(text, "# TYPE skein_step_working gauge")
        assert.include(text, "# TYPE skein_step_duration_seconds histogram")
        assert.include(text, "# HELP skein_run_lag Elements from the watermark to the reader")
        for (const { given, name, taken } of steps) {
          const of = `{pipeline="scraped",step="${name}"}`
          assert.strictEqual(valueIn(text, `skein_step_items_total${of}`), taken)
          assert.strictEqual(valueIn(text, `skein_step_output_total${of}`), given)
        }
      }).pipe(
        Effect.provide([Journal.memory, serving]),
        Effect.provideService(Metric.MetricRegistry, registry as Context.Service.Shape<typeof Metric.MetricRegistry>)
      )
    })
  )
})
