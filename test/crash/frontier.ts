/** Work that makes work, as the crash tests have it: numbers that lead to each other in circles. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, Pipeline, Source } from "skein"

const Done = Schema.Struct({ n: Schema.Int, depth: Schema.Int })

/** On in a tree, so that all are found from 0, back, around, and to itself. */
const linksOf = (n: number, count: number): ReadonlyArray<number> =>
  [2 * n + 1, 2 * n + 2, n >> 1, (n * 7 + 3) % count, n].filter((to) => to < count)

export const numbersOf = (
  options: Omit<Source.FrontierOptions<number, number>, "key" | "lane">
): Source.Frontier<number> =>
  Source.frontier("numbers", Schema.Int, { ...options, lane: (n) => `${n % 5}`, perLane: 5 })

/** Each number is a row, however often it is done: what is done twice is there twice. */
export const jobOf = (numbers: Source.Frontier<number>, count: number, did: () => void = () => {}) =>
  Pipeline.from(numbers).pipe(
    Pipeline.map(
      (n) =>
        Effect.gen(function* () {
          yield* numbers.add(linksOf(n, count))
          yield* Effect.yieldNow
          did()
          return { n, depth: yield* numbers.depth }
        }),
      { concurrency: 4, order: "completion" }
    ),
    Pipeline.to(Db.table("done", Done))
  )
