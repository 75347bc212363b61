/** A message queue as a source (P16): what is not acknowledged comes again, and what was written is not written again. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, type Source } from "skein"
import { CrashPoint } from "skein/testing"

interface Message {
  readonly id: string
  readonly body: number
}

/** What is received is hidden until it is acknowledged, and comes again where it was not, in another order. */
class Broker {
  waiting: Array<Message>
  readonly hidden = new Map<string, Message>()

  constructor(count: number) {
    this.waiting = Array.from({ length: count }, (_, body) => ({ id: `m${body}`, body }))
  }

  receive(most: number): ReadonlyArray<Message> {
    const some = this.waiting.splice(0, most)
    for (const message of some) this.hidden.set(message.id, message)
    return some
  }

  ack(id: string): void {
    this.hidden.delete(id)
  }

  nack(id: string): void {
    const message = this.hidden.get(id)
    if (message !== undefined && this.hidden.delete(id)) this.waiting.push(message)
  }

  /** Their time is over, as their receiver was not heard of. */
  expire(): void {
    for (const id of this.hidden.keys()) this.nack(id)
  }
}

const messagesOf = (broker: Broker): Source.Source<Message, never, never, string> => ({
  name: "messages",
  resumable: true,
  size: Effect.succeedNone,
  fingerprint: () => Effect.succeed({ queue: "messages" }),
  account: Effect.gen(function* () {
    const taken = new Set<string>()
    yield* Effect.addFinalizer(() => Effect.sync(() => taken.forEach((id) => broker.nack(id))))
    return {
      elements: Stream.paginate(undefined, () =>
        Effect.sync(() => {
          const some = broker.receive(3)
          for (const { id } of some) taken.add(id)
          const elements = some.map((value) => ({ value, position: value.id, bytes: 8 }))
          return [elements, some.length === 0 ? Option.none() : Option.some(undefined)] as const
        })
      ),
      settle: () => Effect.void,
      settled: (ids) =>
        ids.forEach((id) => {
          broker.ack(id)
          taken.delete(id)
        })
    }
  }),
  read: () => Stream.fromIterable(broker.waiting.map((value) => ({ value, position: value.id, bytes: 8 })))
})

const count = 8
const journal = Effect.map(Effect.scoped(Layer.build(Journal.memory)), Context.get(Journal.Journal))

interface World {
  readonly broker: Broker
  readonly kept: Journal.Journal
  readonly written: Array<number>
}
const world: Effect.Effect<World> = Effect.map(journal, (kept) => ({ broker: new Broker(count), kept, written: [] }))

const runOf = (broker: Broker, kept: Journal.Journal, written: Array<number>) => {
  const job = Pipeline.from(messagesOf(broker)).pipe(
    Pipeline.unique(({ id }) => id),
    Pipeline.map(({ body }) => Effect.as(CrashPoint.at(`worked ${body}`), body), { concurrency: 2 }),
    Pipeline.to(
      Sink.make<number, never, never, "at-least-once", never>({
        name: "list",
        guarantee: "at-least-once",
        open: () =>
          Effect.succeed({
            write: (all) =>
              Effect.andThen(
                CrashPoint.at("before writing"),
                Effect.as(
                  Effect.tap(
                    Effect.sync(() => written.push(...all)),
                    CrashPoint.at("after writing")
                  ),
                  null
                )
              )
          })
      })
    )
  )
  return Effect.provideService(Pipeline.run(job, { name: "work", maxRows: 2 }), Journal.Journal, kept)
}

describe("a message queue as a source", () => {
  it.effect("P16 takes messages again that were not acknowledged, wherever its process ends", () =>
    Effect.gen(function* () {
      const { points } = yield* CrashPoint.everywhere({
        make: world,
        run: ({ broker, kept, written }: World) => runOf(broker, kept, written),
        check: ({ broker, kept, written }: World) =>
          Effect.gen(function* () {
            broker.expire()
            const before = written.length
            const { settled } = yield* runOf(broker, kept, written)
            assert.deepEqual([broker.waiting.length, broker.hidden.size], [0, 0])
            assert.deepEqual(
              [...new Set(written)].toSorted((a, b) => a - b),
              Array.from({ length: count }, (_, n) => n)
            )
            // No more than the one commit that was under way is written twice.
            assert.isAtMost(written.length - count, 3)
            assert.isTrue(before === count || settled > 0)
          }),
        seeds: 1
      })
      assert.includeMembers([...new Set(points)], ["worked 0", "before writing", "after writing"])
    })
  )

  it.effect("P16 leaves out what comes again though it was written, as its acknowledgement was lost", () =>
    Effect.gen(function* () {
      const [broker, kept, written] = [new Broker(count), yield* journal, [] as Array<number>]
      yield* runOf(broker, kept, written)
      // The acknowledgement was lost.
      broker.waiting.push({ id: "m3", body: 3 }, { id: "m9", body: 9 })
      const { filtered, settled } = yield* runOf(broker, kept, written)
      assert.deepEqual({ filtered, settled }, { filtered: 1, settled: 2 })
      assert.strictEqual(written.length, count + 1)
      assert.strictEqual(broker.hidden.size, 0)
    })
  )
})
