import { assert, describe, expect, it } from "@effect/vitest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { createServer } from "node:http"
import { Registry, TaskGroup } from "skein"
import { Observe } from "skein/inspect"
import * as Origin from "../support/origin.ts"

/** With tasks, metrics and loggers of its own. */
const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>, ...loggers: ReadonlyArray<Logger.Logger<unknown, void>>) =>
  Effect.suspend(() =>
    effect.pipe(
      Effect.provideService(Metric.MetricRegistry, new Map() as never),
      Effect.provideService(Registry.Registry, Registry.make()),
      Effect.provideService(Logger.CurrentLoggers, new Set(loggers))
    )
  )

/** One task of each end, below one another. */
const work = TaskGroup.open(
  Effect.gen(function* () {
    const host = yield* TaskGroup.spawn(
      TaskGroup.open(TaskGroup.spawn(Effect.never, { name: "stuck" }), { name: "inner" }),
      { name: "host" }
    )
    const barista = yield* TaskGroup.supervise(Effect.delay(Effect.fail("no coffee"), "20 millis"), { name: "barista" })
    yield* barista.exit
    yield* host.cancel("closing time")
  }),
  { name: "shop" }
)

/** Under a clock that is moved. */
const played = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("20 millis")
    return yield* Fiber.join(fiber)
  })

describe("logs", () => {
  const lines = (options: Observe.Options, level: "Debug" | "Info" = "Debug") =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => void said.push(`${logLevel} ${message}`))
      const observed = Effect.provide(work, Observe.layer(options))
      yield* fresh(played(Effect.provideService(observed, References.MinimumLogLevel, level)), logger)
      return said
    })

  it.effect("tell of each task as it begins and ends, at Debug", () =>
    Effect.map(lines({}), (said) =>
      expect(said).toEqual([
        'Debug task "shop" of group "shop" started',
        'Debug task "host" of group "shop" started',
        'Debug task "inner" of group "inner" started',
        'Debug task "stuck" of group "inner" started',
        'Debug task "inner" of group "inner" succeeded after 0',
        'Debug task "barista" of group "shop" started',
        'Debug task "barista" of group "shop" failed after 20ms: no coffee',
        'Debug task "stuck" of group "inner" cancelled after 20ms',
        'Debug task "host" of group "shop" cancelled after 20ms',
        'Debug task "shop" of group "shop" succeeded after 20ms'
      ])
    )
  )

  it.effect("are at the levels that are chosen, and nothing that nobody would see", () =>
    Effect.gen(function* () {
      expect(yield* lines({}, "Info")).toEqual([])
      expect(yield* lines({ logs: false })).toEqual([])
      const logs = { started: "None", succeeded: "None", cancelled: "Info", failed: "Error" } as const
      expect(yield* lines({ logs }, "Info")).toEqual([
        'Error task "barista" of group "shop" failed after 20ms: no coffee',
        'Info task "stuck" of group "inner" cancelled after 20ms',
        'Info task "host" of group "shop" cancelled after 20ms'
      ])
    })
  )

  it.effect("that a logger throws on take nothing from the program, nor from what comes after", () =>
    Effect.gen(function* () {
      let called = 0
      const logger = Logger.make<unknown, void>(() => {
        called++
        throw new Error("disk full")
      })
      const observed = Effect.provide(TaskGroup.open(TaskGroup.spawn(Effect.void)), Observe.layer())
      yield* fresh(Effect.provideService(observed, References.MinimumLogLevel, "Debug"), logger)
      expect(called).toBe(4)
    })
  )

  it.effect("end where the layer does", () =>
    Effect.gen(function* () {
      let called = 0
      const logger = Logger.make<unknown, void>(() => void called++)
      const program = Effect.gen(function* () {
        yield* Effect.provide(TaskGroup.open(Effect.void), Observe.layer())
        yield* TaskGroup.open(Effect.void)
      })
      yield* fresh(Effect.provideService(program, References.MinimumLogLevel, "Debug"), logger)
      expect(called).toBe(2)
    })
  )
})

describe("metrics", () => {
  const textOf = (program: Effect.Effect<unknown>, options: Observe.Options = {}) =>
    fresh(Effect.provide(Effect.andThen(program, PrometheusMetrics.format()), Observe.layer(options)))

  it.effect("count tasks by group and by how they ended, and how long they took", () =>
    Effect.map(played(textOf(work)), (text) => {
      for (const line of [
        'skein_tasks_started_total{group="shop"} 3',
        'skein_tasks_started_total{group="inner"} 2',
        'skein_tasks_ended_total{group="shop",outcome="succeeded"} 1',
        'skein_tasks_ended_total{group="shop",outcome="failed"} 1',
        'skein_tasks_ended_total{group="shop",outcome="cancelled"} 1',
        'skein_tasks_ended_total{group="inner",outcome="cancelled"} 1',
        'skein_tasks_running{group="shop"} 0',
        'skein_task_duration_seconds_bucket{group="shop",le="0.01"} 0',
        'skein_task_duration_seconds_bucket{group="shop",le="0.02"} 3',
        'skein_task_duration_seconds_count{group="shop"} 3',
        "# TYPE skein_tasks_ended_total counter",
        "# TYPE skein_tasks_running gauge",
        "# TYPE skein_task_duration_seconds histogram"
      ]) {
        expect(text.split("\n")).toContain(line)
      }
      expect(text).toMatch(/skein_task_duration_seconds_sum\{group="shop"\} 0\.06/)
    })
  )

  it.effect("say how many run, of those whose start was seen", () =>
    Effect.gen(function* () {
      const inside = Effect.gen(function* () {
        yield* TaskGroup.spawn(Effect.sleep("20 millis"), { name: "late" })
        yield* Effect.yieldNow
        return yield* PrometheusMetrics.format()
      })
      const [during, after] = yield* fresh(
        Effect.gen(function* () {
          const early = yield* Effect.forkChild(TaskGroup.open(Effect.sleep("10 millis"), { name: "jobs" }))
          yield* Effect.yieldNow
          return yield* Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(TaskGroup.open(inside, { name: "jobs" }))
            yield* TestClock.adjust("20 millis")
            yield* Fiber.join(early)
            return [yield* Fiber.join(fiber), yield* PrometheusMetrics.format()] as const
          }).pipe(Effect.provide(Observe.layer()))
        })
      )
      expect(during).toContain('skein_tasks_running{group="jobs"} 2\n')
      expect(after).toContain('skein_tasks_running{group="jobs"} 0\n')
      expect(after).toContain('skein_tasks_ended_total{group="jobs",outcome="succeeded"} 3\n')
    })
  )

  it.effect("are as many as there are names, and of those no more than 200 and others", () =>
    Effect.gen(function* () {
      const groups = (name: (n: number) => { readonly name?: string }) =>
        Effect.forEach(
          Array.from({ length: 250 }, (_, n) => name(n)),
          (options) => TaskGroup.open(Effect.void, options)
        )
      const unnamed = yield* textOf(groups(() => ({})))
      expect(unnamed.match(/skein_tasks_started_total\{.*/g)).toEqual([
        'skein_tasks_started_total{group="unnamed"} 250'
      ])
      const named = yield* textOf(groups((n) => ({ name: `request ${n}` })))
      expect(named.match(/skein_tasks_started_total\{/g)).toHaveLength(201)
      expect(named).toContain('skein_tasks_started_total{group="other"} 50\n')
    })
  )

  it.effect("are none where they are not wanted", () =>
    Effect.map(textOf(TaskGroup.open(Effect.void), { metrics: false }), (text) => expect(text).toBe(""))
  )
})

describe("spans", () => {
  const spansOf = (program: Effect.Effect<unknown>, options: Observe.Options = {}) =>
    Effect.suspend(() => {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const observed = Effect.provide(program, Observe.layer(options))
      return Effect.as(fresh(Effect.provideService(observed, Tracer.Tracer, tracer)), spans)
    })
  const told = (spans: ReadonlyArray<Tracer.NativeSpan>) =>
    spans.map(({ name, parent }) => [name, Option.getOrUndefined(parent as Option.Option<Tracer.NativeSpan>)?.name])

  it.effect(
    "are one for each task, below that of its spawner, and below that in which the first group was opened",
    () =>
      Effect.map(played(spansOf(Effect.withSpan(work, "request"))), (spans) => {
        expect(told(spans)).toEqual([
          ["request", undefined],
          ["task shop", "request"],
          ["task host", "task shop"],
          ["task inner", "task host"],
          ["task stuck", "task inner"],
          ["task barista", "task shop"]
        ])
        expect(spans.every(({ status }) => status._tag === "Ended")).toBe(true)
        expect(Object.fromEntries(spans[4]!.attributes)).toMatchObject({
          "task.name": "stuck",
          "task.group": "inner",
          "task.kind": "task"
        })
        const { status } = spans[5]!
        assert.strictEqual(status._tag === "Ended" && status.endTime - status.startTime, 20_000_000n)
      })
  )

  it.effect("are one for one task in so many, below the nearest that has one", () =>
    Effect.map(played(spansOf(work, { spans: { every: 2 } })), (spans) => {
      expect(told(spans)).toEqual([
        ["task shop", undefined],
        ["task inner", "task shop"],
        ["task barista", "task shop"]
      ])
    })
  )

  it.effect("have names that are few", () =>
    Effect.map(spansOf(TaskGroup.open(TaskGroup.spawn(Effect.void))), (spans) =>
      expect(told(spans)).toEqual([
        ["group", undefined],
        ["task", "group"]
      ])
    )
  )

  it("are refused where they are one in none", () => {
    expect(() => Observe.layer({ spans: { every: 0 } })).toThrow("every must be a whole number, 1 or more; got 0")
  })
})

describe("over the network", () => {
  it.live("a collector of OTLP is sent logs, metrics and spans, and a cancelled task is no error", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({
        "/v1/traces": { body: {} },
        "/v1/metrics": { body: {} },
        "/v1/logs": { body: {} }
      })
      const otlp = Otlp.layer({ baseUrl: origin.url, resource: { serviceName: "shop" } }).pipe(
        Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
      )
      yield* work.pipe(
        Effect.provide(Observe.layer()),
        Effect.provideService(References.MinimumLogLevel, "Debug"),
        Effect.provide(otlp),
        fresh
      )
      const bodies = (path: string) =>
        origin.requests.filter((request) => request.path === path).map(({ body }) => JSON.parse(body))

      const spans = bodies("/v1/traces").flatMap(({ resourceSpans }) => resourceSpans[0].scopeSpans[0].spans)
      const named = (name: string) => spans.find((span: { readonly name: string }) => span.name === name)
      expect(spans).toHaveLength(5)
      expect(named("task stuck").parentSpanId).toBe(named("task inner").spanId)
      expect(new Set(spans.map(({ traceId }: { readonly traceId: string }) => traceId)).size).toBe(1)
      // As its protocol has it: 0 is unset, 1 is ok, 2 is an error.
      const codes = ["task shop", "task barista", "task stuck", "task host"].map((name) => named(name).status.code)
      expect(codes).toEqual([1, 2, 0, 0])
      expect(named("task barista").status.message).toBe("no coffee")

      const metrics = bodies("/v1/metrics").at(-1).resourceMetrics[0].scopeMetrics[0].metrics
      const metric = (name: string) => metrics.find((metric: { readonly name: string }) => metric.name === name)
      expect(metric("skein_tasks_started_total").sum.isMonotonic).toBe(true)
      expect(metric("skein_task_duration_seconds")).toMatchObject({ unit: "s" })
      const cancelled = metric("skein_tasks_ended_total").sum.dataPoints.filter(
        (point: { readonly attributes: unknown }) => JSON.stringify(point.attributes).includes('"cancelled"')
      )
      expect(cancelled.map(({ asDouble }: { readonly asDouble: number }) => asDouble)).toEqual([1, 1])

      const logs = bodies("/v1/logs").flatMap(({ resourceLogs }) => resourceLogs[0].scopeLogs[0].logRecords)
      const barista = logs.filter((log: unknown) => JSON.stringify(log).includes("barista"))
      expect(barista).toHaveLength(2)
      expect(barista[1]).toMatchObject({ severityText: "Debug" })
      expect(JSON.stringify(barista[1].body)).toMatch(/failed after .*: no coffee/)
      expect(JSON.stringify(barista[1].attributes)).toContain("task.id")
    }).pipe(Effect.scoped)
  )

  it.live("a server of Prometheus scrapes the metrics", () =>
    Effect.gen(function* () {
      const server = createServer()
      const serving = HttpRouter.serve(PrometheusMetrics.layerHttp(), {
        disableLogger: true,
        disableListenLog: true
      }).pipe(Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })))
      yield* Effect.gen(function* () {
        yield* work
        const { port } = server.address() as { readonly port: number }
        const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/metrics`))
        const text = yield* Effect.promise(() => response.text())
        expect(text).toContain('skein_tasks_ended_total{group="shop",outcome="failed"} 1\n')
        expect(text).toContain("# HELP skein_task_duration_seconds From the start of a task to its end\n")
      }).pipe(Effect.provide(Layer.merge(serving, Observe.layer())), fresh)
    })
  )
})
