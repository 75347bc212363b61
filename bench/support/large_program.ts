/**
 * The largest of the data sets, in a process of its own: `large_program.ts elements 100000000` or `lines 10000`, in megabytes.
 * Prints what an element took, and the memory, up to a hundredth of the work, from there to a tenth, and from there to the end.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Files, Journal, Pipeline } from "skein"
import { begin } from "./cost.ts"
import { indexed, into, run } from "./jobs.ts"

/** Of a part of the work: nanoseconds an element, the most megabytes that were resident, and those that were held at its end. */
export interface Part {
  readonly value: number
  readonly cpu: number
  readonly resident: number
  readonly held: number
}

type Take = (i: number) => void
type Workload = (count: number, take: Take) => Promise<{ readonly settled: number }>

const elements: Workload = (count, take) =>
  Pipeline.from(indexed(count, (i) => i, 8)).pipe(
    Pipeline.map((i) => i + 1),
    Pipeline.map((i) => Effect.promise(async () => i), { concurrency: 16 }),
    Pipeline.map((i) => i - 1),
    Pipeline.batch(100),
    Pipeline.to(into((batch) => batch.forEach(take))),
    run
  )

const Line = Schema.Struct({
  id: Schema.Finite,
  name: Schema.String,
  email: Schema.String,
  score: Schema.Finite,
  active: Schema.Boolean,
  tags: Schema.Array(Schema.String)
})
const firstId = 1_000_000_000
const template = Buffer.from(
  `${JSON.stringify({ id: firstId, name: "person number so and so of many", email: "person.number.so@example.org", score: 12.5, active: true, tags: ["one", "two", "three"] }).padEnd(189)}\n`
)
const digits = String(firstId).length
const idAt = template.indexOf(String(firstId))

/** Bytes of a file of lines that are made as they are read. */
const fill = (buffer: Uint8Array, position: number): void => {
  for (
    let at = -(position % template.length), id = firstId + Math.floor(position / template.length);
    at < buffer.length;
    id++
  ) {
    let rest = id
    for (let digit = idAt + digits - 1; digit >= idAt; digit--) {
      template[digit] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    buffer.set(at < 0 ? template.subarray(-at) : template.subarray(0, buffer.length - at), Math.max(0, at))
    at += template.length
  }
}

/** Ten gigabytes lie on no disk: under the name of this program, which is there, there seem to be as many lines as wanted. */
const path = import.meta.filename
const fileOf = (size: number) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => {
      const stat = Effect.map(fs.stat(path), (info) => ({ ...info, size: ByteSize.bytes(size) }))
      const opened = (file: FileSystem.File): FileSystem.File => {
        let next = 0
        const read: FileSystem.File["read"] = (buffer, { position } = {}) =>
          Effect.sync(() => {
            const from = position === undefined ? next : Number(position)
            const part = buffer.subarray(0, Math.max(0, Math.min(buffer.length, size - from)))
            fill(part, from)
            if (position === undefined) next += part.length
            return part.length
          })
        const seek: FileSystem.File["seek"] = (offset, from) =>
          Effect.sync(() => BigInt((next = from === "start" ? Number(offset) : next + Number(offset))))
        return { ...file, stat, read, seek }
      }
      return FileSystem.FileSystem.of({
        ...fs,
        stat: () => stat,
        open: (path, options) => Effect.map(fs.open(path, options), opened)
      })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

const lines: Workload = (count, take) =>
  Pipeline.from(Files.jsonl(path, Line)).pipe(
    Pipeline.to(into((line: typeof Line.Type) => take(line.id - firstId))),
    (job) => Pipeline.run(job, { name: "lines" }),
    Effect.provide([Journal.memory, fileOf(count * template.length)]),
    Effect.runPromise
  )

const [what, size] = process.argv.slice(2)
const workload = what === "lines" ? lines : elements
const count = what === "lines" ? Math.floor((Number(size) * 1e6) / template.length) : Number(size)

await workload(Math.min(300_000, count), () => {})

const parts: Array<Part> = []
const ends = [Math.floor(count / 100), Math.floor(count / 10), count]
const look = Math.max(1, Math.floor(count / 1000))
const held = (): number => {
  globalThis.gc!()
  const { external, heapUsed } = process.memoryUsage()
  return (heapUsed + external) / 1e6
}
let [sum, taken, from, resident] = [0, 0, 0, 0]
let end = begin()
const { settled } = await workload(count, (i) => {
  sum += i
  taken += 1
  if (taken % look === 0) resident = Math.max(resident, process.memoryUsage.rss() / 1e6)
  if (taken !== ends[parts.length]) return
  const { cpu, wall } = end()
  const each = 1e6 / (taken - from)
  parts.push({ value: wall * each, cpu: cpu * each, resident, held: held() })
  from = taken
  resident = 0
  end = begin()
})
console.log(JSON.stringify({ count, settled, sum, parts }))
