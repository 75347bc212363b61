/** Functions that the tests run in worker threads. They tell by shared memory how far they are, and wait by it. */
import { parentPort, threadId } from "node:worker_threads"

export const notAFunction = 1

export const add = (a: number, b: number): number => a + b
export const addLater = async (a: number, b = 10): Promise<number> => a + b
export const thread = (): number => threadId
export const lengthOf = (bytes: Uint8Array): number => bytes.length
export const total = (...numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)

class QuotaError extends Error {
  override readonly name = "QuotaError"
  readonly code = "E_QUOTA"
}

export const fail = (message: string): never => {
  throw new QuotaError(message, { cause: new RangeError("disk", { cause: "full" }) })
}
export const failLater = async (message: string): Promise<never> => fail(message)
export const failWithFunction = (): never => {
  throw Object.assign(new TypeError("odd"), { f: () => {} })
}
export const failWithText = (): never => {
  throw "just text"
}
export const give = (what: "function" | "undefined"): unknown => (what === "function" ? () => {} : undefined)

/** Where a job is: `steps[0]` counts those that began, `steps[1]` those that saw the abort; `steps[2]` lets them go. */
export type Steps = Int32Array<SharedArrayBuffer>

const begin = (steps: Steps) => Atomics.add(steps, 0, 1)
const sawAbort = (steps: Steps) => Atomics.add(steps, 1, 1)

export const hold = (steps: Steps): number => {
  begin(steps)
  Atomics.wait(steps, 2, 0)
  return threadId
}

export const poll = (steps: Steps, signal: AbortSignal): string => {
  begin(steps)
  while (!signal.aborted);
  sawAbort(steps)
  return "stopped"
}

export const pollAndThrow = (steps: Steps, _unused = 0, signal?: AbortSignal): never => {
  begin(steps)
  try {
    while (true) signal?.throwIfAborted()
  } finally {
    sawAbort(steps)
  }
}

export const listen = async (steps: Steps, signal: AbortSignal): Promise<never> => {
  begin(steps)
  const reason = await new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason)))
  sawAbort(steps)
  throw reason
}

export const failOnAbort = async (steps: Steps, signal: AbortSignal): Promise<never> => {
  begin(steps)
  await new Promise((resolve) => signal.addEventListener("abort", resolve))
  sawAbort(steps)
  throw new Error("could not undo it")
}

/** Takes a while, and notes what it was told between. */
export const gate = async (steps: Steps): Promise<number> => {
  begin(steps)
  while (Atomics.load(steps, 2) === 0) await new Promise((resolve) => setImmediate(resolve))
  return threadId
}

export const exit = (steps: Steps): never => {
  begin(steps)
  Atomics.wait(steps, 2, 0)
  process.exit(7)
}

export const throwElsewhere = (): Promise<never> => {
  setImmediate(() => {
    throw new Error("nobody caught this")
  })
  return new Promise(() => {})
}

/** Says something to the program by itself, past the pool. */
export const post = (message: unknown): string => {
  parentPort!.postMessage(message, [])
  return "done"
}
