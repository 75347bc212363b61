/** What runs in each worker thread: a module's functions, called by the pool in the main thread. */
import { parentPort, type Transferable } from "node:worker_threads"
import * as Foreign from "../concurrency/base/Foreign.ts"
import { serve } from "../concurrency/WorkerThread.ts"

const port = parentPort!

const receive = serve({
  import: (module) => import(module).catch((error) => loadBuilt(module, error)),
  send: (message, transfers) => port.postMessage(message, transfers as ReadonlyArray<Transferable>)
})

/** A program that was built has `.js` files where its source says `.ts`. */
const loadBuilt = (module: string, error: unknown): Promise<object> => {
  const isMissing = Foreign.get(error, "code") === "ERR_MODULE_NOT_FOUND" && Foreign.get(error, "url") === module
  if (!isMissing || !/\.m?ts$/.test(module)) throw error
  return import(module.replace(/ts$/, "js"))
}

port.on("message", receive)
