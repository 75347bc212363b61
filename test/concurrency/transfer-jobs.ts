/** A function in a worker thread that moves its result. */
import { Offload } from "skein"

const bytes = new Uint8Array(10).fill(7)

export const give = (): Uint8Array => Offload.transfer(bytes, [bytes.buffer])
export const kept = (): number => bytes.length
