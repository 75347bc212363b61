/**
 * What fibers wait for. Effect does not say it, but each kind of wait gives a function to cancel it, which stands in one place of
 * the code: a waiter of each kind shows which place is whose.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type { Seen } from "../../inspect/context/Deep.ts"
import * as FiberParts from "./FiberParts.ts"
import type { Closure, Location, Mirror } from "./Mirror.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>
type Wait = Pick<Seen, "waitsFor" | "waitsForFiber">

const unknown: Wait = { waitsFor: null, waitsForFiber: null }

/** How far from the function that cancels it is looked for the fiber that is waited for. */
const depth = 2
const functions = 8

export class Waits {
  private readonly mirror: Mirror
  private readonly words = new Map<string, string>()

  constructor(mirror: Mirror) {
    this.mirror = mirror
    for (const [words, effect] of kinds) {
      const fiber = Effect.runFork(effect)
      const cancel = this.cancelOf(fiber)
      if (typeof cancel === "object") this.words.set(keyOf(cancel.location), words)
      fiber.interruptUnsafe()
    }
  }

  /** `observed` has who is called when which fiber ends. */
  of(fiber: AnyFiber, observed: ReadonlyMap<unknown, AnyFiber>): Wait {
    const cancel = this.cancelOf(fiber)
    if (cancel === undefined) return unknown
    if (cancel === "aborts") return { waitsFor: "a promise", waitsForFiber: null }
    const other = this.observerIn(cancel, observed, depth)
    if (other !== undefined) return { waitsFor: `the end of fiber ${other.id}`, waitsForFiber: other }
    return { waitsFor: this.words.get(keyOf(cancel.location)) ?? null, waitsForFiber: null }
  }

  private cancelOf(fiber: AnyFiber): Closure | "aborts" | undefined {
    const finalizer = FiberParts.finalizerOf(fiber)
    if (finalizer === undefined) return undefined
    const { controller, onCancel } = (this.mirror.closure(finalizer)?.variables ?? {}) as FiberParts.Waiting
    if (onCancel === undefined) return controller === undefined ? undefined : "aborts"
    const cancel = FiberParts.functionIn(onCancel)
    return cancel && this.mirror.closure(cancel)
  }

  private observerIn(
    { variables }: Closure,
    observed: ReadonlyMap<unknown, AnyFiber>,
    depth: number
  ): AnyFiber | undefined {
    const inside = Object.values(variables).filter((one): one is object => typeof one === "function")
    for (const one of inside) if (observed.has(one)) return observed.get(one)
    if (depth <= 1) return undefined
    for (const one of inside.slice(0, functions)) {
      const closure = this.mirror.closure(one)
      const found = closure && this.observerIn(closure, observed, depth - 1)
      if (found !== undefined) return found
    }
    return undefined
  }
}

const keyOf = ({ columnNumber, lineNumber, scriptId }: Location): string => `${scriptId}:${lineNumber}:${columnNumber}`

const ended = Effect.suspend(() => Fiber.await(Effect.runFork(Effect.never)))

const kinds: ReadonlyArray<readonly [string, Effect.Effect<unknown>]> = [
  ["time to pass", Effect.sleep("1 hour")],
  ["a Deferred", Effect.suspend(() => Deferred.await(Deferred.makeUnsafe<void>()))],
  ["a Latch", Effect.suspend(() => Latch.makeUnsafe(false).await)],
  ["a message in a Queue", Effect.flatMap(Queue.unbounded<number>(), Queue.take)],
  ["room in a Queue", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
  [
    "a message of a PubSub",
    Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded<number>(), PubSub.subscribe), PubSub.take))
  ],
  ["effects that run concurrently", Effect.all([Effect.never, Effect.never], { concurrency: 2 })],
  ["the end of a fiber", ended]
]
