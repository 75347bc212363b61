/** The other thread of `askSync`. */
import { workerData, type MessagePort } from "node:worker_threads"
import { Client } from "pg"

const { flag, port } = workerData as { readonly flag: Int32Array; readonly port: MessagePort }

port.on("message", async ({ sql, url }: { readonly url: string; readonly sql: string }) => {
  const client = new Client({ connectionString: url })
  client.on("error", () => {})
  try {
    await client.connect()
    const results = await client.query(sql)
    // Several statements give several results.
    port.postMessage({ rows: [results].flat().at(-1)!.rows })
  } catch (error) {
    port.postMessage({ error: String(error) })
  } finally {
    await client.end().catch(() => {})
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  }
})
