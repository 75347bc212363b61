/** How fast is a large compressed file of JSON Lines read? */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files } from "skein"
import { createReadStream, createWriteStream } from "node:fs"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGunzip, createGzip } from "node:zlib"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { temporary } from "./support/temporary.ts"

const megabytes = scaled(300)
const Line = Schema.Struct({
  id: Schema.Finite,
  name: Schema.String,
  email: Schema.String,
  score: Schema.Finite,
  active: Schema.Boolean,
  tags: Schema.Array(Schema.String)
})

const line = (id: number): string => {
  const name = `person number ${id}`.padEnd(40, " of many")
  const email = `person.number.${id}@example.org`
  return `${JSON.stringify({ id, name, email, score: id / 8, active: id % 2 === 0, tags: ["one", "two", "three"] }).padEnd(189)}\n`
}
const n = Math.floor((megabytes * 1e6) / line(0).length)

const folder = temporary("gzip")
const path = folder.path("lines.jsonl.gz")
function* pieces(): Generator<string> {
  for (let i = 0; i < n; i += 1000) {
    yield Array.from({ length: Math.min(1000, n - i) }, (_, j) => line(i + j)).join("")
  }
}
await pipeline(Readable.from(pieces()), createGzip(), createWriteStream(path))

type Take = (id: number) => void
type Run = (take: Take) => Promise<unknown>

const idOf = (json: unknown): number => (json as typeof Line.Type).id

const measured = (run: Run, checksum: unknown = { count: n, sum: sumBelow(n) }) =>
  perSecond({
    ops: megabytes,
    checksum,
    work: async () => {
      let count = 0
      let sum = 0
      await run((id) => {
        count += 1
        sum += id
      })
      return { count, sum }
    }
  })

/** Block by block, each handed on up to its last newline. */
const blocks = async (onBlock: (block: Buffer) => void): Promise<void> => {
  const stream = createReadStream(path, { highWaterMark: 256 * 1024 }).pipe(createGunzip({ chunkSize: 256 * 1024 }))
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const block = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const end = block.lastIndexOf(10) + 1
    onBlock(block.subarray(0, end))
    rest = block.subarray(end)
  }
}

const newlines: Run = (take) =>
  blocks((block) => {
    for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, at + 1)) take(0)
  })

const byHand: Run = (take) =>
  blocks((block) => {
    const text = block.toString()
    let from = 0
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", from)) {
      take(idOf(JSON.parse(text.slice(from, at))))
      from = at + 1
    }
  })

const forEach = <A>(file: Files.LineFile<A>, f: (element: A) => void) =>
  file.read(Option.none()).pipe(
    Stream.runForEachArray((elements) => Effect.sync(() => elements.forEach(({ value }) => f(value)))),
    Effect.provide(NodeFileSystem.layer),
    Effect.runPromise
  )

const lines: Run = (take) => forEach(Files.lines(path), (text) => take(idOf(JSON.parse(text))))

const jsonl: Run = (take) => forEach(Files.jsonl(path, Line), ({ id }) => take(id))

const group: Group = {
  title: `Read ${megabytes} MB of JSON Lines out of gzip, 190 bytes each`,
  unit: "MB a second",
  better: "more",
  baseline: "zlib + blocks + JSON.parse",
  rows: [
    { name: "zlib + newlines only", kind: "floor", measure: measured(newlines, { count: n, sum: 0 }) },
    { name: "zlib + blocks + JSON.parse", kind: "floor", measure: measured(byHand) },
    {
      name: "Files.lines + JSON.parse",
      kind: "ours",
      goal: { limit: 0.9, of: "zlib + blocks + JSON.parse" },
      measure: measured(lines)
    },
    { name: "Files.jsonl, through a Schema", kind: "ours", measure: measured(jsonl) }
  ],
  close: folder.close
}
export default group
