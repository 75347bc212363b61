/**
 * A shop that answers as real ones do: slow now and then, and every tenth item fails when it is asked for the first time.
 * Item 0 does not exist; those from 1000 on take their time.
 */
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Shop {
  readonly url: string
  /** What was asked for. */
  readonly requests: () => number
  /** How many requests were under way at once, at most. */
  readonly most: () => number
  /** How many are under way. */
  readonly underWay: () => number
  readonly close: () => Promise<void>
}

export const open = async (): Promise<Shop> => {
  let requests = 0
  let most = 0
  let underWay = 0
  const asked = new Set<number>()

  const server = Http.createServer((request, response) => {
    const id = Number(request.url!.split("/").at(-1))
    requests += 1
    most = Math.max(most, ++underWay)
    response.once("close", () => void (underWay -= 1))
    const status = id === 0 ? 404 : id % 10 === 3 && !asked.has(id) ? 503 : 200
    asked.add(id)
    const timer = setTimeout(
      () => {
        response.writeHead(status, { "content-type": "application/json" })
        response.end(JSON.stringify({ id, price: id % 7 }))
      },
      id >= 1000 ? 2000 : 5
    )
    response.once("close", () => clearTimeout(timer))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    most: () => most,
    underWay: () => underWay,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}
