/** Statements for tests that cannot wait: another thread asks, and this one sleeps. */
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"

type Rows = ReadonlyArray<Record<string, any>>

let asking: { readonly worker: Worker; readonly flag: Int32Array; readonly port: MessageChannel["port1"] } | undefined

const start = () => {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(new URL("askSync-worker.ts", import.meta.url), {
    workerData: { flag, port: port2 },
    transferList: [port2],
    execArgv: []
  })
  worker.unref()
  port1.unref()
  return { worker, flag, port: port1 }
}

/** The rows of the last of these statements, past all that is tested. */
export const askSync = (url: string, sql: string): Rows => {
  asking ??= start()
  const { flag, port } = asking
  Atomics.store(flag, 0, 0)
  port.postMessage({ url, sql })
  Atomics.wait(flag, 0, 0)
  const { error, rows } = receiveMessageOnPort(port)!.message as { readonly rows?: Rows; readonly error?: string }
  if (rows === undefined) throw new Error(`${error}: ${sql}`)
  return rows
}
