/** Rows as COPY takes them in its binary format. */
import { Bytes } from "./Bytes.ts"

/** PGCOPY, bytes that break when they are taken for text, no flags and no extension. */
const header = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0)

/** As much as a socket takes at a time. */
const chunk = 128 * 1024
/** So that most rows that go beyond it fit. */
const spare = 8 * 1024

/** So many rows of so many values, each written by `write`, in pieces that are made as they are asked for. */
export function* chunks(rows: number, width: number, write: (out: Bytes, row: number) => void): Generator<Uint8Array> {
  let out = new Bytes(Math.min(chunk + spare, 64 + rows * width * 32))
  out.bytesOf(header)
  for (let row = 0; row < rows; row++) {
    out.int16(width)
    write(out, row)
    if (out.length < chunk) continue
    yield out.written()
    out = new Bytes(chunk + spare)
  }
  out.int16(-1)
  yield out.written()
}
