/**
 * One simulated run. A world is a scheduler, a clock and a source of chance of its own, which is all that Effect asks
 * for: the program is not changed. Nothing in it happens but by a decision, and all decisions are kept.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { WebCrypto } from "effect/crypto/WebCrypto"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Formatter from "effect/Formatter"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Deadline from "../../concurrency/Deadline.ts"
import * as Registry from "../../concurrency/Registry.ts"
import { ProgramStop, StopSignal } from "../../concurrency/base/Stop.ts"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"
import { Choices } from "../Choices.ts"
import { Fingerprint } from "./Fingerprint.ts"
import { Idle, Notes, type Probe, Probes, Victim } from "./Control.ts"
import { chance, type Decider, make, type Runner } from "./Decider.ts"
import { Member } from "./Member.ts"
import { Outside } from "./Outside.ts"
import type { End, Played, Waiting } from "./Played.ts"
import { type Dispatcher, type Entry, Pool } from "./Pool.ts"
import { Recording } from "./Recording.ts"
import type { Schedule, Stop } from "../Schedules.ts"
import * as SimCrypto from "./SimCrypto.ts"
import type { Systematic } from "./Systematic.ts"
import type { Slice } from "./Trace.ts"
import { type Timer, VirtualClock } from "./VirtualClock.ts"

export interface Settings {
  readonly schedule: Schedule
  /** After how many operations without an end the run is a livelock: one million by default. */
  readonly maxOperations?: number | undefined
  /** How many operations a slice of the strategy `fifo` has at granularity `op`. */
  readonly quantum?: number | undefined
  /** Decides instead of the strategy. */
  readonly systematic?: Systematic | undefined
  /** Logs go into the trace and not to the loggers: for runs that are many. */
  readonly quiet?: boolean
  /** Keep what each fiber did and waits for: at some cost, so for runs that are told about. */
  readonly detail?: boolean
}

export const play = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  settings: Settings
): Effect.Effect<Played<A, E>, never, R> =>
  // A deadline around the simulation goes by another clock.
  Effect.flatMap(Deadline.unbounded(Effect.context<R>()), (outer) => new World(effect, outer, settings).play())

/** The first operation after a preemption resumes, and the second is the one before which the fiber was preempted. */
const resuming = 2

/** In fingerprints, where no choice is as small. */
const stopped = -(2 ** 31)

/** After so many steps the event loop gets a turn, so that promises settle and test runners see timeouts. */
const stepsATurn = 4096

/** How many turns of the event loop those have after the end who are outside of the simulation. */
const maxTurns = 10

/** How many slices of a run in detail are kept at least: the last ones. */
const maxTrace = 10_000

class World<A, E, R> implements Scheduler.Scheduler, Choices {
  readonly executionMode = "async"
  private readonly settings: Settings
  private decider: Decider
  private readonly clock = new VirtualClock()
  private readonly bells = this.makeDispatcher()
  private readonly root: Fiber.Fiber<A, E>
  private readonly choices: Array<number> = []
  private readonly order: Array<number> = []
  private readonly fingerprint = new Fingerprint()
  private readonly trace: Array<Slice> = []
  private readonly recording: Recording | undefined
  private readonly members: Array<Member> = []
  private readonly byFiber = new Map<Fiber.Fiber<unknown, unknown>, Member>()
  private readonly probes: Array<Probe> = []
  private readonly scopes = new Set<Scope.Scope>()
  private readonly outside = new Outside()
  /** To be called when nothing can run, before time goes on. */
  private readonly whenIdle: Array<() => void> = []
  private readonly ready = new Pool()
  private readonly byOperation: boolean
  private readonly outerScope: Scope.Scope | undefined

  private last: Member | undefined
  /** The next slice comes from the entries and not from the stack of a fiber. */
  private fromReady = false
  private yielding: Member | undefined
  /** Who asked for the turn that is now, if it was a fiber; known in detail only. */
  private asker: Member | undefined
  /** Whose turn it is, if it is known to be that of a fiber. */
  private turnOf: Runner | undefined
  private steps = 0
  private operations = 0
  private readonly maxOperations: number
  private limit: number
  private end: End<A, E> | undefined
  private stop: Stop | undefined
  private stopped = false
  private victim = 0

  constructor(effect: Effect.Effect<A, E, R>, outer: Context.Context<R>, settings: Settings) {
    this.settings = settings
    if (settings.detail) this.recording = new Recording(this.clock)
    this.maxOperations = settings.maxOperations ?? 1_000_000
    this.limit = this.maxOperations
    this.byOperation = settings.schedule.granularity === "op"
    this.outerScope = Context.getOrUndefined(outer, Scope.Scope)
    this.stop = settings.schedule.stop
    this.decider = settings.systematic ?? make(settings.schedule, settings.quantum ?? 1)
    // What it adds to a scope around it is for a scope of its own: nothing of it runs after the end.
    const own = this.outerScope === undefined ? effect : Effect.scoped(effect)
    // Yields first, so that no operation of the effect comes before step 0.
    this.root = Effect.runForkWith(this.context(outer))(Effect.andThen(Effect.yieldNow, own))
  }

  private context(outer: Context.Context<R>): Context.Context<R> {
    const draw = chance(this.settings.schedule.seed ^ 0x5eed)
    const own = Context.make(Scheduler.Scheduler, this).pipe(
      Context.add(Clock.Clock, this.clock),
      Context.add(Random.Random, {
        nextDoubleUnsafe: draw,
        nextIntUnsafe: () => Math.floor((draw() * 2 - 1) * Number.MAX_SAFE_INTEGER)
      }),
      Context.add(WebCrypto, SimCrypto.make(draw)),
      Context.add(Choices, this),
      Context.add(Notes, (fiber, text) => this.note(fiber, text)),
      Context.add(Registry.Registry, Registry.make(...(this.recording === undefined ? [] : [this.recording.hear]))),
      Context.add(CurrentTask, undefined),
      Context.add(ProgramStop, new StopSignal()),
      // Also where nobody listens: a program can tell whether a tracer is Effect's own, and must take the same way.
      Context.add(Tracer.Tracer, this.tracer(Context.get(outer, Tracer.Tracer))),
      Context.add(Probes, this.probes),
      Context.add(Idle, this.whenIdle),
      Context.add(Victim, (fiber) => void (this.victim = this.memberOf(fiber).number))
    )
    const context = Context.merge(outer, own) as Context.Context<R>
    return this.settings.quiet ? Context.add(context, Logger.CurrentLoggers, new Set([this.logger])) : context
  }

  private readonly logger = Logger.make(({ fiber, message }) => {
    const parts = Array.isArray(message) ? message : [message]
    this.note(
      fiber,
      `logs ${parts.map((part) => (typeof part === "string" ? part : Formatter.format(part))).join(" ")}`
    )
  })

  private note(fiber: Fiber.Fiber<unknown, unknown>, text: string): void {
    if (this.settings.detail) this.memberOf(fiber).doing.push(text)
  }

  play(): Effect.Effect<Played<A, E>> {
    return Effect.suspend(() =>
      this.outside.during(() => {
        while (this.end === undefined) {
          if (!this.step()) return this.turn(() => this.idle())
          if (this.steps % stepsATurn === 0) return this.turn(() => {})
        }
        return this.close(this.end)
      })
    )
  }

  /** Lets promises settle, which needs a turn of the real event loop, and goes on. */
  private turn(then: () => void): Effect.Effect<Played<A, E>> {
    return Effect.flatMap(Effect.yieldNow, () => {
      then()
      return this.play()
    })
  }

  /** Nothing can run: lets those go on who wait for that, or time. */
  private idle(): void {
    if (this.end !== undefined || this.ready.size > 0 || this.rootEnded()) return
    // An interruption may bring something that can run.
    if (this.stopHere() || this.ready.size > 0) return
    if (this.whenIdle.length > 0) {
      this.steps++
      this.fromReady = true
      for (const resume of this.whenIdle.splice(0)) resume()
      this.fromReady = false
      return
    }
    const { next } = this.clock
    if (next === undefined) {
      if (!this.rootEnded()) this.end = { _tag: "Deadlock", waiting: this.waiting("something that nothing can bring") }
      return
    }
    const moments = this.clock.moments(next, next + (this.settings.schedule.late ?? 0))
    for (const timer of this.clock.advance(moments[this.choose(moments.length)]!)) this.ready.push(this.bell(timer))
  }

  /** As in an event loop, all timers of a moment ring before a fiber that one of them woke, and that yielded, goes on. */
  private bell(timer: Timer): Entry {
    const runner = timer.owner && this.byFiber.get(timer.owner)
    const run = () => this.clock.ring(timer)
    return { run, priority: 0, dispatcher: this.bells, batch: 0, runner, rank: undefined, timer, asker: undefined }
  }

  /** Gives one entry its turn; false if there is none. */
  private step(): boolean {
    if (this.rootEnded()) return true
    if (this.ready.size === 0) return false
    if (this.stopHere()) return true
    this.steps++
    this.runOne()
    if (this.end === undefined && this.operations >= this.limit) {
      this.end = { _tag: "Livelock", alive: this.waiting(""), time: this.clock.now }
    }
    this.rootEnded()
    return true
  }

  private rootEnded(): boolean {
    const exit = this.root.pollUnsafe()
    if (exit !== undefined) this.end ??= { _tag: "Exit", exit }
    return this.end !== undefined
  }

  /** Stops what the schedule says, if it says so of the step that comes; true if that was the end. */
  private stopHere(): boolean {
    if (this.stopped) return false
    const { steps, victim } = this
    const how = this.settings.systematic?.stops(steps, this.members[victim])
    if (how !== undefined) this.stop = { how, step: steps, fiber: victim }
    const { stop } = this
    if (stop?.step !== steps) return false
    this.fingerprint.add(stopped)
    if (stop.how === "kill") {
      this.stopped = true
      this.end = { _tag: "Killed", where: `before step ${stop.step}` }
      return true
    }
    const member = this.members[stop.fiber]
    if (member?.alive !== true) return false
    this.stopped = true
    if (this.settings.detail) {
      this.trace.push({ time: this.clock.now, fiber: member.number, operations: ["is interrupted"] })
      this.recording?.interrupts(member)
    }
    this.turnOf = undefined
    this.fromReady = true
    member.fiber.interruptUnsafe()
    this.fromReady = false
    return this.rootEnded()
  }

  private runOne(): void {
    const entry = this.ready.take(this.pick)
    this.settings.systematic?.takes(entry, this.operations)
    this.turnOf = entry.runner
    this.asker = entry.asker
    this.fromReady = true
    const seen = this.members.length
    entry.run()
    this.fromReady = false
    // A fiber that was not known before goes on under the rank that its start had.
    if (entry.runner === undefined && seen < this.members.length) this.members[seen]!.rank ??= entry.rank
  }

  private readonly pick = (entries: ReadonlyArray<Entry>, from: number): number => {
    const index = this.decider.pick(entries, from, this.operations)
    this.choices.push(index - from)
    return index
  }

  makeDispatcher(): Dispatcher {
    const dispatcher: Dispatcher = {
      batch: 0,
      scheduleTask: (run, priority) => {
        const runner = this.yielding
        const asker = this.recording === undefined || this.fromReady ? undefined : this.last
        const entry = { run, priority, dispatcher, batch: 0, runner, rank: undefined, timer: undefined, asker }
        if (runner !== undefined) runner.turn = entry
        this.ready.push(entry)
        this.yielding = undefined
      },
      flush: () => {
        while (this.ready.size > 0 && this.end === undefined) this.runOne()
      }
    }
    return dispatcher
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const member = this.last?.fiber === fiber ? this.last : this.memberOf(fiber)
    const count = fiber.currentOpCount
    this.operations++
    this.yielding = undefined
    if (count === 1) this.begin(member)
    this.last = member
    const scope = member.newScope()
    if (scope !== undefined && scope !== this.outerScope) this.scopes.add(scope)
    // Whatever is still on the stack after the end goes no further than its next operation.
    if (this.end !== undefined || this.operations > this.limit) return true
    if (member.until > 0 && count >= member.until && this.decider.preempts(member, this.operations, count)) {
      this.choices[member.slot] = count - member.free
      member.cut = true
    } else if (count < fiber.cache.maxOpsBeforeYield) {
      // That one resumes is no operation of its own. Numbers follow the order of turns, ids that of forks.
      if (count > 1 || !member.resumes) this.fingerprint.add(fiber.id - this.members[0]!.fiber.id)
      return false
    }
    this.yielding = member
    member.makesRoom = true
    return true
  }

  private memberOf(fiber: Fiber.Fiber<unknown, unknown>): Member {
    const known = this.byFiber.get(fiber)
    if (known !== undefined) return known
    const member = new Member(fiber, this.members.length, this.steps)
    this.members.push(member)
    this.byFiber.set(fiber, member)
    this.recording?.seen(member)
    return member
  }

  private begin(member: Member): void {
    const by = this.fromReady ? undefined : (this.last ?? member)
    const { begun } = member
    this.fromReady = false
    member.begun = true
    member.resumes = by === undefined && this.turnOf === member && member.cut
    member.cut = false
    member.turn = undefined
    member.until = 0
    this.order.push(member.number)
    if (this.recording !== undefined) {
      this.recording.begins(member, by ?? this.asker)
      member.begin()
      this.trace.push({ time: this.clock.now, fiber: member.number, operations: member.doing })
      if (this.trace.length === 2 * maxTrace) this.trace.splice(0, maxTrace)
    }
    // Effect promises that a fiber started at once runs at once: no boundary comes before that.
    if (!this.byOperation && (by === undefined || !begun)) return
    // What comes before step 0 is not of the effect.
    if (!begun && member.number === 0) return
    member.slot = this.choices.length
    this.choices.push(0)
    // At step 1 the effect has begun: before that, a check would see what the run before has left.
    const isFirst = member.number === 0 && this.steps === 1
    member.free = by !== undefined ? 0 : member.resumes || isFirst ? resuming : 1
    const length = this.decider.slice(member, by, this.operations)
    // Made to yield at its first operation, a fiber that is interrupted before its start would start all the same.
    if (length > 0) member.until = Math.max(begun ? 1 : 2, member.free + length)
  }

  choose(options: number): number {
    if (options < 2) return 0
    const choice = this.decider.choose(options)
    this.choices.push(choice)
    this.fingerprint.add(~choice)
    return choice
  }

  happens(probability: number): boolean {
    const happens = this.decider.happens(probability)
    this.choices.push(happens ? 1 : 0)
    this.fingerprint.add(happens ? -2 : -1)
    return happens
  }

  private close(end: End<A, E>): Effect.Effect<Played<A, E>> {
    const { operations, steps, stopped } = this
    const choices = this.choices.slice(0, this.choices.findLastIndex((choice) => choice !== 0) + 1)
    const schedule = { ...this.settings.schedule, choices, stop: this.stop }
    const fingerprint = this.fingerprint.value
    const time = this.clock.now
    const order = this.order.slice()
    const trace = this.trace.slice()
    const timeline = this.recording?.entries(this.names()) ?? []
    // What comes after the end goes its natural way, as it does when the choices are replayed.
    this.decider = make({ ...this.settings.schedule, choices: [] }, 1)
    this.settle(end)
    const left = () => {
      const names = this.names()
      const born = this.members.map((member) => member.born)
      const left = {
        fibers: [...names.filter((_, number) => this.members[number]!.alive), ...distinct(this.outside.alive)],
        timers: this.clock.pending,
        scopes: Array.from(this.scopes).filter((scope) => scope.state._tag === "Open").length,
        lent: this.probes.flatMap((probe) => probe() ?? [])
      }
      const { victim } = this
      const happened = { order, trace, timeline, names, born, victim }
      return { end, schedule, stopped, steps, operations, fingerprint, time, ...happened, left }
    }
    const settled = (turns: number): Effect.Effect<Played<A, E>> => {
      const waits = turns === maxTurns && this.members.some((member) => member.alive)
      if (turns === 0 || !(waits || this.outside.isBusy)) return Effect.sync(left)
      // Some of them may wait for a promise that has settled.
      return Effect.flatMap(Effect.yieldNow, () => {
        this.settle(end)
        return settled(turns - 1)
      })
    }
    return settled(maxTurns)
  }

  /** What can still run after the end does; time stands still. */
  private settle(end: End<A, E>): void {
    if (end._tag !== "Exit") return
    this.limit = this.operations + this.maxOperations
    this.end = undefined
    this.outside.during(() => {
      while (this.ready.size > 0 && this.operations < this.limit) this.runOne()
    })
    this.end = end
  }

  private waiting(otherwise: string): ReadonlyArray<Waiting> {
    const names = this.names()
    return this.members
      .filter((member) => member.alive)
      .map((member) => ({ name: names[member.number]!, waitsFor: member.waitsFor ?? otherwise }))
  }

  private names(): ReadonlyArray<string> {
    return distinct(this.members.map(String))
  }

  private tracer(outer: Tracer.Tracer): Tracer.Tracer {
    const { context } = outer
    const span: Tracer.Tracer["span"] = (options) => outer.span(options)
    const evaluate: NonNullable<Tracer.Tracer["context"]> =
      context?.bind(outer) ?? ((operation, fiber) => operation["~effect/Effect/evaluate"](fiber))
    if (!this.settings.detail) return { span, context: context && evaluate }
    return {
      span,
      context: (operation, fiber) => {
        const member = this.byFiber.get(fiber)
        if (member !== undefined) this.recording?.does(member, member.note(operation))
        return evaluate(operation, fiber)
      }
    }
  }
}

/** The second of a name gets a 2, and so on. */
const distinct = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name} ${count}`
  })
}
