/** A history as a stream: what it holds, and then what comes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Entry } from "../context/Entry.ts"
import type { History } from "./History.ts"

/** Nothing waits for whoever reads: what was written over before it was read is told as lost. */
export const reading = (history: History, first: number): Stream.Stream<Entry> =>
  Stream.paginate(first, (next) =>
    Effect.map(history.count > next || history.isClosed ? Effect.void : news(history), () => {
      const entries = history.from(next, most)
      const lost = Math.max(0, history.dropped - next)
      const told: ReadonlyArray<Entry> =
        lost === 0 ? entries : [{ kind: "lost", at: entries[0]!.at, count: lost }, ...entries]
      const further = next + lost + entries.length
      return [told, history.isClosed && further === history.count ? Option.none() : Option.some(further)] as const
    })
  )

/** As many at once are put into words. */
const most = 1000

/** Whoever reads goes on behind whatever else is due, and not on the stack of what it hears of. */
const news = (history: History): Effect.Effect<void> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      const stop = history.next(() => fiber.currentDispatcher.scheduleTask(() => resume(Effect.void), 0))
      return Effect.sync(stop)
    })
  )
