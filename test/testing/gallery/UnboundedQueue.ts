/** Nothing holds back whoever fills the queue: as long as its reader keeps up, nobody notices. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

const room = 8

const relay = (makeQueue: Effect.Effect<Queue.Queue<number>>) =>
  Effect.gen(function* () {
    const queue = yield* makeQueue
    const offer = Effect.fnUntraced(function* (message: number) {
      yield* Queue.offer(queue, message)
      const size = yield* Queue.size(queue)
      if (size > room) return yield* Effect.fail(`${size} messages wait, where memory is for ${room}`)
      yield* Effect.yieldNow
    })
    const messages = Array.from({ length: 20 }, (_, message) => message)
    const writer = Effect.forEach(messages, offer, { discard: true }).pipe(Effect.withSpan("writer"))
    const reader = Effect.forEach(messages, () => Queue.take(queue), { discard: true }).pipe(Effect.withSpan("reader"))
    yield* Effect.all([reader, writer], { concurrency: 2 })
  })

export const broken = relay(Queue.unbounded<number>())

export const fixed = relay(Queue.bounded<number>(room))
