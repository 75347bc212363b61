/** The API that benchmarks fetch from, in a process of its own. */
import * as Schema from "effect/Schema"
import { fork } from "node:child_process"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { leaveOut } from "./cost.ts"

export const Item = Schema.Struct({
  id: Schema.Finite,
  name: Schema.String,
  price: Schema.Finite,
  tags: Schema.Array(Schema.String)
})
export type Item = typeof Item.Type

export interface Api {
  readonly url: string
  readonly close: () => void
}

export const start = async (): Promise<Api> => {
  const child = fork(fileURLToPath(new URL("json_server.ts", import.meta.url)), { execArgv: [] })
  const [address]: [AddressInfo] = (await once(child, "message")) as [AddressInfo]
  leaveOut(child.pid)
  return { url: `http://127.0.0.1:${address.port}`, close: () => void child.disconnect() }
}
