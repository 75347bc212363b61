/** How many small JSON documents a second, 64 in flight, over loopback? */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import { Fetch, Journal, Pipeline } from "skein"
import { Http } from "skein/node"
import { Agent, get } from "node:http"
import * as api from "./support/api.ts"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { into } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"

const n = scaled(20_000)
const few = n / 5
const concurrency = 64
const pMap = await peer("p-map")
const pQueue = await peer("p-queue")
const undici = await peer("undici")
const got = await peer("got")
const { close, url } = await api.start()

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
const urlOf = (i: number): string => `${url}/items/${i}`
const idOf = (json: unknown): number => (json as api.Item).id

const measured = (n: number, run: (take: (id: number) => void) => PromiseLike<unknown>) =>
  perSecond({
    ops: n,
    checksum: { count: n, sum: sumBelow(n) },
    work: async () => {
      let sum = 0
      let count = 0
      await run((id) => {
        count += 1
        sum += id
      })
      return { count, sum }
    }
  })

// Every policy: rate, slots for the host, retries, time for an attempt and for all of them, a limit for the body.
const policies = Fetch.layer({
  rate: { limit: 1_000_000, per: "1 second", burst: 1_000_000 },
  perHost: concurrency,
  retries: 3,
  timeout: "30 seconds",
  total: "2 minutes",
  maxBody: 1_000_000
})
const skein = Layer.mergeAll(policies, Http.layer({ connections: concurrency }), Journal.memory)

const item = Fetch.json(api.Item)

const withPipeline = (take: (id: number) => void) =>
  Pipeline.from(numbers(n)).pipe(
    Pipeline.map((i) => item(urlOf(i)), { concurrency }),
    Pipeline.to(into((item: api.Item) => take(item.id))),
    (job) => Pipeline.run(job, { name: "fetch" }),
    Effect.provide(skein),
    Effect.runPromise
  )

const withFetch = (take: (id: number) => void) =>
  Effect.forEach(numbers(n), (i) => Effect.map(item(urlOf(i)), ({ id }) => take(id)), {
    concurrency,
    discard: true
  }).pipe(Effect.provide(skein), Effect.runPromise)

const withHttpClient = (client: Layer.Layer<HttpClient.HttpClient>) => (take: (id: number) => void) =>
  Effect.forEach(
    numbers(n),
    (i) =>
      HttpClient.get(urlOf(i)).pipe(
        Effect.flatMap(HttpClientResponse.schemaBodyJson(api.Item)),
        Effect.map(({ id }) => take(id))
      ),
    { concurrency, discard: true }
  ).pipe(Effect.provide(client), Effect.runPromise)

const withPool =
  undici &&
  pMap &&
  (async (take: (id: number) => void) => {
    const pool = new undici.Pool(url, { connections: concurrency, pipelining: 1 })
    const one = async (i: number) => {
      const { body } = await pool.request({ path: `/items/${i}`, method: "GET" })
      take(idOf(await body.json()))
    }
    await pMap.default(numbers(n), one, { concurrency })
    await pool.close()
  })

/** Less than undici's own: no promise, no stream, no object for the response. */
const withDispatch =
  undici &&
  (async (take: (id: number) => void) => {
    const pool = new undici.Pool(url, { connections: concurrency, pipelining: 1 })
    let next = 0
    const fetchJson = (i: number) =>
      new Promise<unknown>((resolve, reject) => {
        let body = ""
        pool.dispatch(
          { path: `/items/${i}`, method: "GET" },
          {
            onRequestStart() {},
            onResponseStart() {},
            onResponseData: (_, chunk) => void (body += chunk.toString()),
            onResponseEnd: () => resolve(JSON.parse(body)),
            onResponseError: (_, error) => reject(error)
          }
        )
      })
    const worker = async () => {
      while (next < n) take(idOf(await fetchJson(next++)))
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    await pool.close()
  })

const withNodeHttp = async (take: (id: number) => void) => {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  let next = 0
  const fetchJson = (i: number) =>
    new Promise<unknown>((resolve, reject) => {
      get(urlOf(i), { agent }, (response) => {
        let body = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => void (body += chunk))
        response.on("end", () => resolve(JSON.parse(body)))
      }).on("error", reject)
    })
  const worker = async () => {
    while (next < few) take(idOf(await fetchJson(next++)))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  agent.destroy()
}

const withGlobalFetch = async (take: (id: number) => void) => {
  let next = 0
  const worker = async () => {
    while (next < few) take(idOf(await (await fetch(urlOf(next++))).json()))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const withGot =
  got &&
  pQueue &&
  ((take: (id: number) => void) => {
    const queue = new pQueue.default({ concurrency })
    return Promise.all(numbers(few).map((i) => queue.add(async () => take(idOf(await got.default(urlOf(i)).json())))))
  })

const group: Group = {
  title: `Fetch ${n.toLocaleString("en")} small JSON documents, ${concurrency} in flight, loopback`,
  unit: "requests a second",
  better: "more",
  baseline: "undici Pool.request + p-map",
  rows: [
    { name: "undici Pool.dispatch", kind: "floor", measure: withDispatch && measured(n, withDispatch) },
    { name: "undici Pool.request + p-map", kind: "peer", measure: withPool && measured(n, withPool) },
    {
      name: "Pipeline + Fetch.json, all policies",
      kind: "ours",
      goal: { limit: 0.9, of: "undici Pool.request + p-map" },
      measure: measured(n, withPipeline)
    },
    { name: "Fetch.json alone, all policies", kind: "ours", measure: measured(n, withFetch) },
    { name: "HttpClient on skein's Http.layer", kind: "raw", measure: measured(n, withHttpClient(Http.layer())) },
    { name: "HttpClient on undici", kind: "raw", measure: measured(n, withHttpClient(NodeHttpClient.layerUndici)) },
    { name: "node:http", kind: "peer", measure: measured(few, withNodeHttp) },
    { name: "fetch", kind: "peer", measure: measured(few, withGlobalFetch) },
    { name: "got + p-queue", kind: "peer", measure: withGot && measured(few, withGot) }
  ],
  close
}
export default group
