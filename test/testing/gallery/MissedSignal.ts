/** News are published while the reader is still on the way to subscribe; then the reader waits for them for ever. */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import { TaskGroup } from "skein"

const publish = (news: PubSub.PubSub<string>) => PubSub.publish(news, "it rains").pipe(Effect.withSpan("publisher"))

export const broken = Effect.gen(function* () {
  const news = yield* PubSub.unbounded<string>()
  const reader = Effect.gen(function* () {
    const subscription = yield* PubSub.subscribe(news)
    yield* PubSub.take(subscription)
  }).pipe(Effect.scoped, Effect.withSpan("reader"))
  yield* Effect.all([reader, publish(news)], { concurrency: 2 })
})

/** The reader says when it is ready, and nothing is published before. */
export const fixed = TaskGroup.open(
  Effect.gen(function* () {
    const news = yield* PubSub.unbounded<string>()
    const reader = Effect.fnUntraced(function* (ready: TaskGroup.Ready<void>) {
      const subscription = yield* PubSub.subscribe(news)
      yield* ready()
      yield* PubSub.take(subscription)
    }, Effect.scoped)
    yield* TaskGroup.start(reader, { name: "reader" })
    yield* publish(news)
  })
)
