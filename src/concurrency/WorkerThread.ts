/** The side of a pool that runs in the worker thread: one call at a time, in the order in which they come. */
import * as Foreign from "./base/Foreign.ts"
import * as Protocol from "./offload/WorkerProtocol.ts"
import { type Transferable, transfersOf } from "./offload/Transfer.ts"

export interface Platform {
  readonly import: (module: string) => PromiseLike<object>
  readonly send: (message: Protocol.FromThread, transfers?: ReadonlyArray<Transferable>) => void
}

/** Gives the function that takes the messages of the pool. */
export const serve = (platform: Platform): ((message: Protocol.ToThread) => void) => {
  let functions: Readonly<Record<string, Function>> = {}
  let slots: Int32Array = new Int32Array()
  let running: Job | undefined
  const waiting: Array<Protocol.Call> = []

  const load = (module: string): void =>
    void platform.import(module).then(
      (exports) => {
        functions = Object.fromEntries(Object.entries(exports).filter(([, value]) => typeof value === "function"))
        platform.send([Protocol.loaded, Object.keys(functions)])
      },
      (error) => sendError(error, (thrown) => [Protocol.unloadable, thrown])
    )

  const run = ([, slot, id, name, args]: Protocol.Call): void => {
    if (Atomics.compareExchange(slots, slot, Protocol.sent, Protocol.started) !== Protocol.sent) {
      return platform.send([Protocol.skipped, slot, id])
    }
    const job = new Job(slots, slot)
    running = job
    const succeed = (value: unknown) => {
      job.over = true
      try {
        platform.send([Protocol.succeeded, slot, id, value], transfersOf([value]))
      } catch (error) {
        sendError(error, (thrown) => [Protocol.failed, slot, id, thrown])
      }
      next()
    }
    const fail = (error: unknown) => {
      job.over = true
      sendError(error, (thrown) => [Protocol.failed, slot, id, thrown])
      next()
    }
    let result: unknown
    try {
      const f = functions[name]!
      result = f.length === args.length ? f(...args) : f(...args, job.signal)
    } catch (error) {
      return fail(error)
    }
    Foreign.settle(result, succeed, fail)
  }

  const next = (): void => {
    running = undefined
    for (let call = waiting.shift(); call !== undefined; call = running ? undefined : waiting.shift()) run(call)
  }

  /** Not everything that is thrown can be sent. */
  const sendError = (error: unknown, message: (thrown: Protocol.Thrown) => Protocol.FromThread): void => {
    try {
      platform.send(message(Protocol.encode(error)))
    } catch {
      platform.send(message(Protocol.encode(error, structuredClone)))
    }
  }

  return (message) => {
    if (message[0] === Protocol.call) {
      if (running === undefined) run(message)
      else waiting.push(message)
    } else if (message[0] === Protocol.calls) {
      waiting.push(...message[1])
      if (running === undefined) next()
    } else if (message[0] === Protocol.cancel) {
      if (running?.slot === message[1]) running.poll()
    } else {
      slots = new Int32Array(message[2])
      load(message[1])
    }
  }
}

/** A call while it runs. Most want no signal, and that costs more than everything else, so it is made when asked for. */
class Job {
  readonly slot: number
  over = false
  private readonly slots: Int32Array
  private controller: AbortController | undefined

  constructor(slots: Int32Array, slot: number) {
    this.slots = slots
    this.slot = slot
  }

  get signal(): AbortSignal {
    this.controller = new AbortController()
    const signal: PolledSignal = Object.setPrototypeOf(this.controller.signal, Polled)
    signal[job] = this
    return signal
  }

  /** Aborts the signal if the call was cancelled. */
  poll(): void {
    if (!this.over && Atomics.load(this.slots, this.slot) === Protocol.cancelled) this.controller?.abort()
  }
}

const job: unique symbol = Symbol("skein/Offload/Job")

interface PolledSignal extends AbortSignal {
  [job]: Job
}

const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!

/** An `AbortSignal` that, when asked, looks for itself: while a function runs no message gets through to its thread. */
const Polled = Object.create(AbortSignal.prototype, {
  aborted: {
    get(this: PolledSignal): boolean {
      this[job].poll()
      return isAborted.call(this)
    }
  },
  throwIfAborted: {
    value(this: PolledSignal): void {
      this[job].poll()
      AbortSignal.prototype.throwIfAborted.call(this)
    }
  }
})
