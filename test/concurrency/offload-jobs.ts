/** Functions that the tests run in worker threads. They tell by shared memory how far they are, and wait by it. */
import { parentPort, threadId } from "node:worker_threads"

export const notAFunction = 1

export const add = (a: number, b: number): number => a + b
export const addLater = async (a: number, b = 10): Promise<number> => a + b
export const thread = (): number => threadId
export const lengthOf = (bytes: Uint8Array): number => bytes.length
export const lengthsOf = (one: Uint8Array, two: Uint8Array): ReadonlyArray<number> => [one.length, two.length]
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

export const throwElsewhere = (what: unknown = new Error("nobody caught this")): Promise<never> => {
  setImmediate(() => {
    throw what
  })
  return new Promise(() => {})
}

/** Says something to the program by itself, past the pool. */
export const post = (message: unknown): string => {
  parentPort!.postMessage(message, [])
  return "done"
}

/** Errors that are odd, each in its way, and values that are. */
const odd = {
  "symbol for a name": () => Object.assign(new Error("odd"), { name: Symbol("odd") }),
  "getter that throws": () =>
    Object.defineProperty(new Error("odd"), "message", {
      get: () => {
        throw new Error("the getter")
      }
    }),
  "null prototype": () => Object.create(null),
  "error without a prototype": () => Object.setPrototypeOf(new Error("odd"), null),
  proxy: () => new Proxy(new Error("odd"), { get: () => fail("touched") }),
  "circle of causes": () => {
    const error = new Error("odd")
    return Object.assign(error, { cause: error })
  }
}
export type Odd = keyof typeof odd

export const failOddly = (what: Odd): never => {
  throw odd[what]()
}
export const failWithMuch = (): never => {
  const error = new TypeError("odd", { cause: new QuotaError("disk") })
  Object.assign(error, { f: () => {}, [Symbol("key")]: 1, code: "E_ODD", at: new Date(0) })
  throw Object.defineProperty(error, "bad", { get: () => fail("the getter"), enumerable: true })
}
export const failWithMany = (): never => {
  const inner = new AggregateError([new RangeError("c")], "b")
  throw new AggregateError([new QuotaError("a"), inner, "text", () => {}], "all of them")
}

const thenable = <A>(then: PromiseLike<A>["then"]): PromiseLike<A> => {
  // oxlint-disable-next-line unicorn/no-thenable -- what it is for
  return { then }
}
const thenables = {
  "settles twice": (n: number) =>
    thenable<number>((ok, fail) => {
      ok?.(n)
      ok?.(-1)
      return fail?.(new Error("too late")) as never
    }),
  "settles again later": (n: number) =>
    thenable<number>((ok) => {
      setImmediate(() => ok?.(-1))
      return ok?.(n) as never
    }),
  throws: () =>
    thenable<number>(() => {
      throw new Error("by then")
    }),
  "throws when asked": () =>
    // oxlint-disable-next-line unicorn/no-thenable -- what it is for
    Object.defineProperty({}, "then", {
      get: () => {
        throw new Error("by then")
      }
    }) as PromiseLike<number>,
  "gives a promise": (n: number) => thenable<number>((ok) => ok?.(Promise.resolve(n) as never) as never),
  "gives a rejected promise": () =>
    thenable<number>((ok) => ok?.(Promise.reject(new Error("by then")) as never) as never)
}
export type Thenable = keyof typeof thenables
export const thenOf = (what: Thenable, n: number): PromiseLike<number> => thenables[what](n)
