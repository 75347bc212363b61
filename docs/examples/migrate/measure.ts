/**
 * Runs every step of the move against the same shop, and tells what it did: whether it still gives the same, what it costs,
 * and what is left running when it has failed and when it was aborted.
 *
 *     node docs/examples/migrate/measure.ts
 */
import { setTimeout } from "node:timers/promises"
import * as After from "./after.ts"
import * as Before from "./before.ts"
import * as Shop from "./server.ts"
import * as Step1 from "./step1.ts"
import * as Step2 from "./step2.ts"

type Total = (url: string, ids: ReadonlyArray<number>, signal: AbortSignal) => Promise<number>

const steps: Readonly<Record<string, Total>> = {
  before: Before.total,
  step1: Step1.total,
  step2: Step2.total,
  after: After.total
}

/** Each item twice, to be got from the shop once. */
const ids = Array.from({ length: 200 }, (_, i) => (i % 100) + 1)
/** Seven that take long, and one that is not there. */
const bad = [1001, 1002, 1003, 1004, 1005, 1006, 1007, 0]

const said = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error))

/** What is still under way half a second after nobody waits for it any more. */
const left = async (shop: Shop.Shop): Promise<number> => {
  for (let waited = 0; waited < 500 && shop.underWay() > 0; waited += 10) await setTimeout(10)
  return shop.underWay()
}

const measure = async (total: Total) => {
  const shop = await Shop.open()
  // The first request of a process pays for what the others find there.
  await total(shop.url, [1], new AbortController().signal)
  const before = shop.requests()
  const start = performance.now()
  const sum = await total(shop.url, ids, new AbortController().signal)
  const millis = Math.round(performance.now() - start)
  const requests = shop.requests() - before
  const most = shop.most()

  const failed = await total(shop.url, bad, new AbortController().signal).then(String, said)
  const leftFailed = await left(shop)

  const controller = new AbortController()
  const aborted = total(shop.url, bad.slice(0, 7), controller.signal).then(String, said)
  await setTimeout(20)
  controller.abort(new Error("the user left"))
  const abortedWith = await aborted
  await shop.close()
  return { sum, requests, most, millis, failed, leftFailed, aborted: abortedWith }
}

const rows: Record<string, Awaited<ReturnType<typeof measure>>> = {}
for (const [name, total] of Object.entries(steps)) rows[name] = await measure(total)

if (process.argv.includes("--json")) console.log(JSON.stringify(rows))
else console.table(rows)
