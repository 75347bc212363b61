/**
 * What hashes.ts does, with p-map, csv-parse and node:worker_threads. What is in the file already is not done again: as many users
 * are passed over as it has whole lines.
 *
 *     node docs/examples/twins/hashes.ts users.csv hashes.jsonl
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- of windows, which threads are not */
import { parse } from "csv-parse"
import { once } from "node:events"
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { isMainThread, parentPort, Worker } from "node:worker_threads"
import { pMapIterable } from "p-map"
import { hash } from "../hashes/hash.ts"

const [from = "users.csv", to = "hashes.jsonl"] = process.argv.slice(2)

type User = Record<"name" | "salt" | "password", string>

/** One call at a time in each thread; who finds none free waits. */
const startPool = (size: number) => {
  const threads = Array.from({ length: size }, () => new Worker(new URL(import.meta.url)))
  const idle = [...threads]
  const waiting: Array<(thread: Worker) => void> = []
  return {
    call: async ({ password, salt }: User): Promise<string> => {
      const thread = idle.pop() ?? (await new Promise<Worker>((free) => waiting.push(free)))
      try {
        thread.postMessage({ password, salt })
        const [answer] = await once(thread, "message")
        if (answer.error !== undefined) throw new Error(answer.error)
        return answer.hash
      } finally {
        const next = waiting.shift()
        if (next === undefined) idle.push(thread)
        else next(thread)
      }
    },
    close: () => Promise.all(threads.map((thread) => thread.terminate()))
  }
}

const main = async () => {
  const file = await open(to, "a+")
  const text = (await file.readFile()).subarray()
  const whole = text.lastIndexOf(10) + 1
  await file.truncate(whole)
  const before = text.subarray(0, whole).reduce((lines, byte) => lines + (byte === 10 ? 1 : 0), 0)
  const size = availableParallelism()
  const pool = startPool(size)
  process.once("SIGINT", () => process.exit(130))

  let [made, told] = [0, Date.now()]
  const users: AsyncIterable<User> = createReadStream(from).pipe(parse({ columns: true, bom: true, from: before + 1 }))
  const hashed = pMapIterable(
    users,
    async (user) => ({ name: user.name, salt: user.salt, hash: await pool.call(user) }),
    { concurrency: size, backpressure: 4 * size }
  )
  for await (const line of hashed) {
    await file.appendFile(`${JSON.stringify(line)}\n`)
    made++
    if (Date.now() - told < 1000) continue
    told = Date.now()
    console.log(`${made} hashes so far`)
  }
  await file.sync()
  await file.close()
  await pool.close()
  console.log(`${made} hashes made, ${before + made} in all.`)
}

if (isMainThread) await main()
else {
  parentPort!.on("message", ({ password, salt }: User) => {
    try {
      parentPort!.postMessage({ hash: hash(password, salt) })
    } catch (error) {
      parentPort!.postMessage({ error: String(error) })
    }
  })
}
