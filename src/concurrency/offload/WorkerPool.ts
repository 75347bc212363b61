/**
 * Worker threads behind `Offload.pool`, and the calls they run. A thread runs one call at a time and is handed a few more
 * ahead, so that it need not wait for the next; whatever it has not started can be taken back.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Scheduler, type SchedulerDispatcher } from "effect/Scheduler"
import * as Foreign from "../base/Foreign.ts"
import { offloadError, OffloadError, PoolClosed, WorkerCrashed } from "../OffloadError.ts"
import { remaining } from "../base/DeadlineHandle.ts"
import { CurrentTask, waiting } from "../base/TaskNode.ts"
import { type Transferable, transfersOf } from "./Transfer.ts"
import { Waiter, WaitList } from "../base/WaitList.ts"
import * as Protocol from "./WorkerProtocol.ts"
import * as Wait from "../base/Wait.ts"

/** What starts worker threads that answer the calls of a pool; `Workers.layer` of `skein/node` is the one for Node. */
export interface Threads {
  readonly spawn: (id: number) => Channel
}

/** The way to one thread. No effects, which would cost more than most messages. */
export interface Channel {
  /**
   * Starts the thread with this message, runs as long as it does, and fails with why it has ended. Interrupted, it ends the thread,
   * and waits until that is so.
   */
  readonly run: (first: Protocol.ToThread, receive: (message: unknown) => void) => Effect.Effect<never, unknown>
  /** Called once the thread has answered. Throws where the message cannot be sent. */
  readonly send: (message: Protocol.ToThread, transfers?: ReadonlyArray<Transferable>) => void
}

/**
 * Needed by `Offload.pool`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Offload } from "skein"
 * import { Workers } from "skein/node"
 *
 * const hasThreads = Effect.map(Effect.serviceOption(Offload.Threads), Option.isSome)
 *
 * await Effect.runPromise(hasThreads) // => false
 * await Effect.runPromise(Effect.provide(hasThreads, Workers.layer)) // => true
 * ```
 */
export const Threads: Context.Service<Threads, Threads> = /* @__PURE__ */ Context.Service("skein/Offload/Threads")

export interface Settings {
  readonly module: URL
  readonly name: string
  readonly size: number
  readonly grace: Duration.Duration
}

type Ended = Exit.Exit<unknown, OffloadError | WorkerCrashed>

/**
 * How many calls a thread has at most: one that it runs, and those that keep it from waiting for the next. To wake a thread costs
 * more than a small call: with 8 of them a call took twice as long as with 64.
 */
const ahead = 64

export class WorkerPool {
  private readonly settings: Settings
  private readonly platform: Threads
  private readonly context: Context.Context<never>
  private readonly threads: Array<Thread> = []
  private readonly queue = new WaitList<Call>()
  private readonly dispatcher: SchedulerDispatcher
  private functions: ReadonlyArray<string> = []
  private closed = false
  /** How many calls were answered so far. */
  private answers = 0
  private opened: ((exit: Exit.Exit<ReadonlyArray<string>, WorkerCrashed>) => void) | undefined

  constructor(settings: Settings, platform: Threads, context: Context.Context<never>) {
    this.settings = settings
    this.platform = platform
    this.context = Context.omit(CurrentTask)(context) as Context.Context<never>
    this.dispatcher = Context.get(context, Scheduler).makeDispatcher()
  }

  /** Starts the threads and waits until each has loaded the module; gives the names of its functions. */
  readonly open: Effect.Effect<ReadonlyArray<string>, WorkerCrashed> = Wait.callback(
    "the threads of a pool",
    (resume) => {
      this.opened = resume
      for (let id = 0; id < this.settings.size; id++) this.start(id)
    }
  )

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    const over = (call: Call) => call.end(Exit.die(new PoolClosed({ pool: this.settings.name, job: call.job })))
    for (let call = this.queue.first; call !== undefined; call = this.queue.first) {
      this.queue.remove(call)
      over(call)
    }
    for (const thread of this.threads) thread.calls.forEach((call) => call !== undefined && over(call))
    return Effect.forEach(this.threads, ({ fiber }) => Fiber.interrupt(fiber!), {
      concurrency: "unbounded",
      discard: true
    })
  })

  call(job: string, args: ReadonlyArray<unknown>): Effect.Effect<unknown, OffloadError | WorkerCrashed> {
    return Effect.withFiber((fiber) => {
      const call = new Call(job, args)
      if (this.closed) return Effect.die(new PoolClosed({ pool: this.settings.name, job }))
      const woken = waiting(fiber, () => `"${job}" in pool "${this.settings.name}"`)
      return Effect.onExitPrimitive(
        Wait.callback<unknown, OffloadError | WorkerCrashed>("a worker thread", (resume) => {
          call.resume = resume
          this.submit(call)
        }),
        (exit) => {
          if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) {
            return Effect.ensuring(this.cancel(call, fiber), Effect.sync(woken))
          }
          woken()
          return undefined
        }
      )
    })
  }

  private submit(call: Call): void {
    this.threads.forEach((thread, id) => {
      if (thread.state === "down") this.start(id)
    })
    this.queue.add(call)
    this.dispatch()
  }

  private dispatch(): void {
    for (let call = this.queue.first; call !== undefined; call = this.queue.first) {
      const thread = this.leastBusy()
      // What is moved to a thread cannot be taken back, so it goes only where it starts at once.
      if (thread === undefined || thread.load >= (call.transfers === undefined ? ahead : 1)) return
      this.queue.remove(call)
      this.send(thread, call)
    }
  }

  private leastBusy(): Thread | undefined {
    let least: Thread | undefined
    for (const thread of this.threads) {
      if (thread.state === "ready" && thread.load < (least?.load ?? Infinity)) least = thread
    }
    return least
  }

  private send(thread: Thread, call: Call): void {
    const isIdle = thread.load === 0
    if (isIdle) thread.heard = this.answers
    const slot = thread.take(call)
    const message = [Protocol.call, slot, call.id, call.job, call.args] as const
    if (isIdle) return this.post(thread, message, call.transfers)
    thread.batch.push(message)
    if (thread.batch.length === 1) this.dispatcher.scheduleTask(() => this.flush(thread), 0)
  }

  /** One message for what a turn of the event loop has brought and would wait in the thread in any case: a quarter of an empty call. */
  private flush(thread: Thread): void {
    const calls = thread.batch.splice(0)
    // What it was given is elsewhere by now.
    if (thread.state !== "ready") return
    try {
      thread.channel.send([Protocol.calls, calls])
    } catch {
      for (const call of calls) this.post(thread, call)
    }
  }

  private post(thread: Thread, message: Protocol.Call, transfers?: ReadonlyArray<Transferable>): void {
    try {
      thread.channel.send(message, transfers)
    } catch (error) {
      const [, slot, id, job] = message
      thread.release(slot, id)?.end(Exit.fail(offloadError(job, error)))
    }
  }

  private receive(thread: Thread, message: unknown): void {
    if (!Protocol.isFromThread(message)) return
    if (message[0] === Protocol.loaded) {
      thread.state = "ready"
      this.functions = message[1]
      this.answerOpen()
    } else if (message[0] === Protocol.unloadable) {
      thread.problem = { cause: Protocol.decode(message[1]) }
      return thread.end()
    } else {
      const call = thread.release(message[1], message[2])
      thread.heard = ++this.answers
      if (message[0] === Protocol.succeeded) call?.end(Exit.succeed(message[3]))
      if (message[0] === Protocol.failed) {
        call?.end(Exit.fail(offloadError(call.job, Protocol.decode(message[3]))))
      }
    }
    // It may have been given the next by whom it has answered.
    if (thread.state === "ready" && thread.load < ahead) this.relieve(thread, ahead)
    this.dispatch()
    if (thread.state === "ready" && thread.load === 0) this.relieve(thread, 0)
  }

  /** Gives a thread a call that waits behind another one elsewhere, from where nothing has come while so many calls were answered. */
  private relieve(by: Thread, silence: number): void {
    for (const thread of this.threads) {
      if (thread === by || thread.load < 2 || this.answers - thread.heard < silence) continue
      const call = thread.takeBackFirst()
      if (call !== undefined) return this.send(by, call)
    }
  }

  private start(id: number): void {
    const thread = new Thread(this.platform.spawn(id))
    this.threads[id] = thread
    thread.fiber = Effect.runForkWith(this.context)(
      thread.channel.run([Protocol.load, this.settings.module.href, thread.memory], (message) =>
        this.receive(thread, message)
      )
    )
    thread.fiber.addObserver((exit) => this.ended(thread, id, exit))
  }

  private ended(thread: Thread, id: number, exit: Exit.Exit<never, unknown>): void {
    thread.state = "down"
    if (this.closed) return
    const problem = thread.problem ?? { cause: Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined }
    const { cause } = problem
    // One that crashes before it is given anything would do so again: the next call tries.
    if (thread.isUsed) this.start(id)
    else this.answerOpen(problem)
    thread.calls.forEach((call, slot) => {
      if (call === undefined) return
      if (call.transfers === undefined && thread.takeBack(slot)) this.queue.add(call)
      else call.end(Exit.fail(new WorkerCrashed({ pool: this.settings.name, job: call.job, cause })))
    })
    if (this.threads.some(({ state }) => state !== "down")) return this.dispatch()
    for (let call = this.queue.first; call !== undefined; call = this.queue.first) {
      this.queue.remove(call)
      call.end(Exit.fail(new WorkerCrashed({ pool: this.settings.name, cause })))
    }
  }

  private answerOpen(problem?: Thread["problem"]): void {
    if (problem !== undefined) this.opened?.(Exit.fail(new WorkerCrashed({ pool: this.settings.name, ...problem })))
    else if (this.threads.every(({ state }) => state === "ready")) this.opened?.(Exit.succeed(this.functions))
    else return
    this.opened = undefined
  }

  private cancel(call: Call, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void, OffloadError> {
    const { slot, thread } = call
    if (call.exit === undefined) {
      if (thread === undefined) {
        this.queue.remove(call)
        return Effect.void
      }
      if (thread.takeBack(slot)) {
        thread.drop(slot)
        return Effect.void
      }
      Atomics.store(thread.slots, slot, Protocol.cancelled)
    }
    return Wait.callback("a worker thread", (resume) => {
      if (call.exit !== undefined || thread === undefined) return resume(afterCancel(call.exit))
      // S15: a deadline around it that has not passed yet holds for the thread as well.
      const left = Option.getOrElse(remaining(fiber), () => Duration.infinity)
      const grace = Duration.min(this.settings.grace, left)
      const timer = Effect.runForkWith(this.context)(fiber.getRef(Clock.Clock).sleep(grace))
      // Ending the thread ends the call.
      timer.addObserver((exit) => Exit.isSuccess(exit) && thread.end())
      call.resume = (exit) => {
        timer.interruptUnsafe()
        resume(afterCancel(exit))
      }
      thread.channel.send([Protocol.cancel, slot])
    })
  }
}

/** A call that fails after it was cancelled says so, unless that is its answer to the cancellation. */
const afterCancel = (exit: Ended | undefined): Exit.Exit<void, OffloadError> => {
  if (exit === undefined || Exit.isSuccess(exit)) return Exit.void
  const error = Cause.squash(exit.cause)
  return Foreign.isA(error, OffloadError) && !Foreign.isAbort(error.cause) ? Exit.fail(error) : Exit.void
}

class Call extends Waiter {
  readonly job: string
  readonly args: ReadonlyArray<unknown>
  readonly transfers: ReadonlyArray<Transferable> | undefined
  exit: Ended | undefined
  resume: ((exit: Ended) => void) | undefined
  /** Where it is, once it was sent, and its number there. */
  thread: Thread | undefined
  slot = -1
  id = 0

  constructor(job: string, args: ReadonlyArray<unknown>) {
    super()
    this.job = job
    this.args = args
    this.transfers = transfersOf(args)
  }

  end(exit: Ended): void {
    if (this.exit !== undefined) return
    this.exit = exit
    this.resume?.(exit)
  }
}

/** One worker thread, from its start to its end. */
class Thread {
  state: "loading" | "ready" | "ending" | "down" = "loading"
  isUsed = false
  /** What waits for the end of a turn to be sent. */
  readonly batch: Array<Protocol.Call> = []
  /** How many calls of the pool were answered when the last one here was, or when it was given the first. */
  heard = 0
  readonly channel: Channel
  fiber: Fiber.Fiber<never, unknown> | undefined
  /** Why its module could not be loaded. */
  problem: { readonly cause: unknown } | undefined
  readonly memory = new SharedArrayBuffer(ahead * Int32Array.BYTES_PER_ELEMENT)
  readonly slots = new Int32Array(this.memory)
  readonly calls: Array<Call | undefined> = Array.from({ length: ahead })
  private readonly free = Array.from({ length: ahead }, (_, slot) => slot)
  /** Of the call that each slot is in use for, also after the call was dropped; 0 where it is free. */
  private readonly ids = Array.from({ length: ahead }, () => 0)
  private sent = 0

  constructor(channel: Channel) {
    this.channel = channel
  }

  end(): void {
    this.state = "ending"
    this.fiber?.interruptUnsafe()
  }

  get load(): number {
    return ahead - this.free.length
  }

  take(call: Call): number {
    const slot = this.free.pop()!
    Atomics.store(this.slots, slot, Protocol.sent)
    this.isUsed = true
    this.calls[slot] = call
    call.thread = this
    call.slot = slot
    call.id = this.ids[slot] = ++this.sent
    return slot
  }

  /** Makes sure that the call never starts here, and tells whether it had not yet. */
  takeBack(slot: number): boolean {
    return Atomics.compareExchange(this.slots, slot, Protocol.sent, Protocol.cancelled) === Protocol.sent
  }

  /** Takes back the first that has not started; what was moved here stays. */
  takeBackFirst(): Call | undefined {
    for (;;) {
      let first: Call | undefined
      for (const call of this.calls) {
        if (call === undefined || call.transfers !== undefined || !this.isSent(call.slot)) continue
        if (first === undefined || call.id < first.id) first = call
      }
      if (first === undefined || this.takeBack(first.slot)) return first && this.drop(first.slot)
    }
  }

  private isSent(slot: number): boolean {
    return Atomics.load(this.slots, slot) === Protocol.sent
  }

  /** Forgets a call that was taken back; its slot is free when the thread has said so, too. */
  drop(slot: number): Call {
    const call = this.calls[slot]!
    this.calls[slot] = undefined
    call.thread = undefined
    return call
  }

  /** The call that this is the answer to; none for what is no answer, or the second to a call. */
  release(slot: number, id: number): Call | undefined {
    if (!id || this.ids[slot] !== id) return undefined
    const call = this.calls[slot]
    this.calls[slot] = undefined
    this.ids[slot] = 0
    this.free.push(slot)
    return call
  }
}
