/** Rows as COPY takes them in its binary format. */
import { Bytes } from "./Bytes.ts"

/** PGCOPY, bytes that break when they are taken for text, no flags and no extension. */
const header = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0)

/** As much as is made in a millisecond or so: bytes, and rows. */
const chunk = 64 * 1024
const chunkRows = 1024
/** So that most rows that go beyond it fit. */
const spare = 8 * 1024

/** What `chunks` of so many rows of so many values are made in. */
export const scratch = (rows: number, width: number): Bytes =>
  new Bytes(Math.min(chunk + spare, 64 + rows * width * 32))

/** So many rows of so many values, each written by `write`, in pieces that are made in `out` as they are asked for. */
export function* chunks(
  rows: number,
  width: number,
  out: Bytes,
  write: (out: Bytes, row: number) => void
): Generator<Uint8Array> {
  out.length = 0
  out.bytesOf(header)
  let upTo = chunkRows
  for (let row = 0; row < rows; row++) {
    out.int16(width)
    write(out, row)
    if (out.length < chunk && row < upTo) continue
    yield out.written()
    out.length = 0
    upTo = row + chunkRows
  }
  out.int16(-1)
  yield out.written()
}
