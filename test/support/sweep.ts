/**
 * Runs an effect in a world of its own, where the order of fibers, the clock and chance are ours: synchronous,
 * repeatable, thousands of runs a second. Time moves by itself, and only when nothing else can run.
 *
 * - `everywhere(effect, check)` interrupts it before every single step that it takes, one run for each;
 * - `killed(effect, check)` abandons it before every single step;
 * - `seeded(effect, check)` lets a seed pick which ready fiber goes next and where fibers are preempted;
 * - `once(effect)` just runs it, for tests that want virtual time without adjusting a clock.
 *
 * `check` sees how each run ended; what it throws is reported with what is needed to repeat that run. An effect that
 * hangs or never comes to rest is an error. No promises, no I/O: whatever the effect waits for must be inside of it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"

export interface Run<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** How to name this run: its seed, or where it was interrupted. */
  readonly label: string
  /** True if the interruption was injected while the fiber was running; false in an undisturbed run. */
  readonly interrupted: boolean
  /** Slices of fibers and firings of timers. */
  readonly steps: number
  /** Virtual milliseconds that passed. */
  readonly time: number
  /** Timers that are still pending after the end. */
  readonly timers: number
  /** Fibers that are still alive after the end. */
  readonly fibers: number
  /** True if the effect marked a victim. */
  readonly victim: boolean
}

/** An effect, or how to make one with fresh state around it: called once a run. */
export type Subject<A, E> = Effect.Effect<A, E> | (() => Effect.Effect<A, E>)

/**
 * Runs the effect undisturbed, then interrupts it before its first step, its second, and so on to its last; all of
 * that with slices of 1, 2 and 3 operations, so that the interruption arrives at every operation.
 */
export const everywhere = <A, E>(
  subject: Subject<A, E>,
  check: (run: Run<A, E>) => void,
  options?: { readonly operations?: ReadonlyArray<number> }
): void => {
  for (const operations of options?.operations ?? [1, 2, 3]) {
    const order = inOrder(operations)
    const slices = `${operations} operations a slice`
    const undisturbed = perform(subject, order, `undisturbed, ${slices}`)
    verify(check, undisturbed)
    for (let step = 0; step < undisturbed.steps; step++) {
      const label = `interrupted before step ${step}, ${slices}`
      verify(check, perform(subject, order, label, { step, victim: undisturbed.victim }))
    }
  }
}

/**
 * Runs the effect to its end, then up to each of its steps, where it is abandoned as by a kill of its process: no finalizer
 * runs, and nothing of it goes on. What is left is what it changed outside of itself.
 */
export const killed = <A, E>(
  subject: Subject<A, E>,
  check: (run: Run<A, E>) => void,
  options?: { readonly operations?: ReadonlyArray<number> }
): void => {
  for (const operations of options?.operations ?? [1, 2, 3]) {
    const order = inOrder(operations)
    const whole = perform(subject, order, `whole, ${operations} operations a slice`)
    verify(check, whole)
    for (let step = 0; step < whole.steps; step++) {
      const label = `killed before step ${step}, ${operations} operations a slice`
      verify(check, perform(subject, order, label, { step, victim: false, kill: true }))
    }
  }
}

/**
 * Runs the effect once for each seed (`seeds`: how many, or which; 300 by default). With `interrupt` the seed also
 * picks a step before which the effect is interrupted, with `kill` one before which it is abandoned.
 */
export const seeded = <A, E>(
  subject: Subject<A, E>,
  check: (run: Run<A, E>) => void,
  options?: {
    readonly seeds?: number | ReadonlyArray<number>
    readonly interrupt?: boolean
    readonly kill?: boolean
  }
): void => {
  const seeds = options?.seeds ?? 300
  for (const seed of typeof seeds === "number" ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds) {
    const undisturbed = perform(subject, atRandom(seed), `seed ${seed}`)
    verify(check, undisturbed)
    if (options?.interrupt === true) {
      const step = Math.floor(random(seed ^ 0x5eed)() * undisturbed.steps)
      const label = `seed ${seed}, interrupted before step ${step}`
      verify(check, perform(subject, atRandom(seed), label, { step, victim: undisturbed.victim }))
    }
    if (options?.kill === true) {
      const step = Math.floor(random(seed ^ 0xdead)() * undisturbed.steps)
      const label = `seed ${seed}, killed before step ${step}`
      verify(check, perform(subject, atRandom(seed), label, { step, victim: false, kill: true }))
    }
  }
}

/** Runs the effect undisturbed, fibers in order. */
export const once = <A, E>(subject: Subject<A, E>): Run<A, E> => perform(subject, inOrder(2048), "once")

/** Makes the fiber that runs this effect the one to interrupt, where otherwise the whole effect is. */
export const victim = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Victim).fiber = fiber
    return effect
  })

interface Victim {
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

const Victim = Context.Reference<Victim>("skein/test/Victim", { defaultValue: () => ({ fiber: undefined }) })

/** Who is next, and who has to make room. */
interface Order {
  readonly start: () => {
    readonly pick: (ready: number) => number
    /** `inline`: the slice began on the stack of another fiber, which resumed or started this one. */
    readonly preempts: (operation: number, inline: boolean) => boolean
    readonly chance: () => number
  }
}

// The first operation of a slice from the queue is the resumption and the second what was interrupted by yielding:
// whoever yields before the third never gets anywhere.
const resuming = 2

const inOrder = (operations: number): Order => ({
  start: () => ({
    pick: () => 0,
    preempts: (operation) => operation > resuming + operations - 1,
    chance: random(1)
  })
})

const atRandom = (seed: number): Order => ({
  start: () => {
    const next = random(seed)
    return {
      pick: (ready) => Math.floor(next() * ready),
      preempts: (operation, inline) => (inline ? next() < 0.5 : operation > resuming && next() < 0.25),
      chance: random(seed + 1)
    }
  }
})

/** Mulberry32. */
const random = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Task {
  readonly priority: number
  readonly run: () => void
}

const maxSteps = 200_000

const perform = <A, E>(
  subject: Subject<A, E>,
  order: Order,
  label: string,
  interrupt?: { readonly step: number; readonly victim: boolean; readonly kill?: boolean }
): Run<A, E> => {
  const { chance, pick, preempts } = order.start()
  const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  const ready: Array<Task> = []
  const timers = new Map<object, { readonly at: number; readonly fire: () => void }>()
  const start = 1_000_000
  let now = start
  let queued = false
  let steps = 0

  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (run, priority) => void ready.push({ run, priority }),
    flush: () => {
      while (runReady());
    }
  }
  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    makeDispatcher: () => dispatcher,
    shouldYield: (fiber) => {
      fibers.add(fiber)
      const inline = fiber.currentOpCount === 1 && !queued
      queued = false
      return preempts(fiber.currentOpCount, inline)
    }
  }
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: () => nanos(now),
    currentTimeNanos: Effect.sync(() => nanos(now)),
    monotonicTimeNanosUnsafe: () => nanos(now),
    monotonicTimeNanos: Effect.sync(() => nanos(now)),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      if (!Number.isFinite(millis)) return Effect.never
      return Effect.callback((resume) => {
        const key = {}
        timers.set(key, {
          at: Math.round((now + millis) * 1_000_000) / 1_000_000,
          fire: () => (timers.delete(key), resume(Effect.void))
        })
        return Effect.sync(() => void timers.delete(key))
      })
    }
  }

  const runReady = (): boolean => {
    if (ready.length === 0) return false
    const first = Math.min(...ready.map((task) => task.priority))
    const urgent = ready.filter((task) => task.priority === first)
    const task = urgent[pick(urgent.length)]!
    ready.splice(ready.indexOf(task), 1)
    queued = true
    task.run()
    queued = false
    return true
  }
  const fireTimer = (): boolean => {
    const at = Math.min(...Array.from(timers.values(), (timer) => timer.at))
    const due = Array.from(timers.values()).filter((timer) => timer.at === at)
    if (due.length === 0) return false
    now = at
    due[pick(due.length)]!.fire()
    return true
  }

  const marked: Victim = { fiber: undefined }
  const context = Context.make(Scheduler.Scheduler, scheduler).pipe(
    Context.add(Clock.Clock, clock),
    Context.add(Random.Random, {
      nextDoubleUnsafe: chance,
      nextIntUnsafe: () => Math.floor((chance() - 0.5) * 2 ** 53)
    }),
    Context.add(Victim, marked)
  )
  const effect = Effect.isEffect(subject) ? subject : subject()
  // Yields first, so that no operation of the subject comes before step 0.
  const root = Effect.runForkWith(context)(Effect.andThen(Effect.yieldNow, effect))
  let interrupted = false
  let exit: Exit.Exit<A, E> | undefined
  while (exit === undefined) {
    if (steps === interrupt?.step) {
      if (interrupt.kill === true) {
        interrupted = true
        exit = Exit.interrupt()
        ready.length = 0
        break
      }
      const fiber = interrupt.victim ? marked.fiber : root
      if (fiber !== undefined && fiber.pollUnsafe() === undefined) {
        interrupted = true
        fiber.interruptUnsafe()
      }
    }
    steps++
    if (!runReady() && !fireTimer() && root.pollUnsafe() === undefined) {
      throw new Error(`${label}: hangs after ${steps - 1} steps: no fiber is ready and no timer is pending`)
    }
    if (steps > maxSteps) throw new Error(`${label}: does not end within ${maxSteps} steps`)
    exit = root.pollUnsafe()
  }
  const taken = steps
  while (runReady()) if (++steps > maxSteps) throw new Error(`${label}: leaves fibers behind that never come to rest`)
  return {
    exit,
    label,
    interrupted,
    steps: taken,
    time: now - start,
    timers: timers.size,
    fibers: Array.from(fibers).filter((fiber) => fiber.pollUnsafe() === undefined).length,
    victim: marked.fiber !== undefined
  }
}

const verify = <A, E>(check: (run: Run<A, E>) => void, run: Run<A, E>): void => {
  try {
    check(run)
  } catch (error) {
    throw new Error(`${run.label}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis * 1_000_000))
