/**
 * The cheapest HTTP server there is, so that what is measured is the client: it answers GET /items/7 with a small JSON
 * object, looks at nothing but the ends of requests, and keeps connections open.
 */
import { createServer } from "node:net"

const end = Buffer.from("\r\n\r\n")

const answer = (id: string): string => {
  const body = JSON.stringify({ id: Number(id), name: `item ${id}`, price: Number(id) / 4, tags: ["small", "json"] })
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = Buffer.alloc(0)
  socket.on("error", () => socket.destroy())
  socket.on("data", (data) => {
    let bytes = rest.length === 0 ? data : Buffer.concat([rest, data])
    let answers = ""
    for (let at = bytes.indexOf(end); at >= 0; at = bytes.indexOf(end)) {
      const head = bytes.toString("latin1", 0, at)
      answers += answer(/\/items\/(\d+)/.exec(head)?.[1] ?? "0")
      bytes = bytes.subarray(at + end.length)
    }
    rest = bytes
    if (answers !== "") socket.write(answers)
  })
})
server.listen(0, "127.0.0.1", () => process.send!(server.address()))
process.on("disconnect", () => process.exit())
