/** How fast is a large file of JSON Lines read? */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline } from "skein"
import { closeSync, createReadStream, openSync, writeSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { createInterface } from "node:readline"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { into } from "./support/jobs.ts"
import { temporary } from "./support/temporary.ts"

const megabytes = scaled(500)
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

const folder = temporary("jsonl")
const path = folder.path("lines.jsonl")
const written = openSync(path, "w")
for (let i = 0; i < n; i += 1000) {
  writeSync(written, Array.from({ length: Math.min(1000, n - i) }, (_, j) => line(i + j)).join(""))
}
closeSync(written)

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
  const file: FileHandle = await open(path)
  const buffer = Buffer.allocUnsafe(1024 * 1024)
  let filled = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled)
    if (bytesRead === 0) break
    filled += bytesRead
    const end = buffer.subarray(0, filled).lastIndexOf(10) + 1
    onBlock(buffer.subarray(0, end))
    buffer.copyWithin(0, end, filled)
    filled -= end
  }
  await file.close()
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

const readline: Run = async (take) => {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    take(idOf(JSON.parse(line)))
  }
}

const inEffect = <E>(effect: Effect.Effect<unknown, E, FileSystem.FileSystem>) =>
  Effect.runPromise(Effect.provide(effect, NodeFileSystem.layer))

const forEach = <A, E, R>(stream: Stream.Stream<A, E, R>, f: (element: A) => void) =>
  Stream.runForEachArray(stream, (elements) => Effect.sync(() => elements.forEach(f)))

const splitLines: Run = (take) =>
  FileSystem.FileSystem.pipe(
    Effect.map((fs) => fs.stream(path, { chunkSize: 1024 * 1024 })),
    Stream.unwrap,
    Stream.decodeText,
    Stream.splitLines,
    (lines) => forEach(lines, (line) => take(idOf(JSON.parse(line)))),
    inEffect
  )

const lines: Run = (take) =>
  inEffect(forEach(Files.lines(path).read(Option.none()), ({ value }) => take(idOf(JSON.parse(value)))))

const jsonl: Run = (take) =>
  inEffect(forEach(Files.jsonl(path, Line).read(Option.none()), ({ value }) => take(value.id)))

const pipeline: Run = (take) =>
  Pipeline.from(Files.jsonl(path, Line)).pipe(
    Pipeline.to(into((line: typeof Line.Type) => take(line.id))),
    (job) => Pipeline.run(job, { name: "jsonl" }),
    Effect.provide(Journal.memory),
    inEffect
  )

const group: Group = {
  title: `Read ${megabytes} MB of JSON Lines, 190 bytes each`,
  unit: "MB a second",
  better: "more",
  baseline: "1 MB blocks + JSON.parse",
  rows: [
    { name: "newlines only", kind: "floor", measure: measured(newlines, { count: n, sum: 0 }) },
    { name: "1 MB blocks + JSON.parse", kind: "floor", measure: measured(byHand) },
    { name: "readline + JSON.parse", kind: "peer", measure: measured(readline) },
    { name: "stream + splitLines + JSON.parse", kind: "raw", measure: measured(splitLines) },
    {
      name: "Files.lines + JSON.parse",
      kind: "ours",
      goal: { limit: 0.95, of: "1 MB blocks + JSON.parse" },
      measure: measured(lines)
    },
    {
      name: "Files.jsonl, through a Schema",
      kind: "ours",
      goal: { limit: 0.8, of: "1 MB blocks + JSON.parse" },
      measure: measured(jsonl)
    },
    { name: "Pipeline.run over Files.jsonl", kind: "ours", measure: measured(pipeline) }
  ],
  close: folder.close
}
export default group
