/** What a step may know of the element it works on. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { NewItem } from "./FrontierStore.ts"
import type { Position } from "./Place.ts"

/** What a step has added to a frontier. */
export interface Work {
  readonly frontier: string
  readonly items: ReadonlyArray<NewItem>
  /** How many were deeper than the frontier goes. */
  readonly tooDeep: number
}

export interface Attempt {
  /** What `idempotencyKey` gives; none outside of a pipeline, and over a source without positions. */
  readonly key: string | undefined
  /** How many times the step was tried on this element so far; policies count it up. */
  count: number
  /** Where that which became the element stood in the source; none outside of a pipeline. */
  readonly positions?: ReadonlyArray<Position> | undefined
  /** Keeps work with the element, unless the step fails; none outside of a step. */
  readonly add?: ((work: Work) => void) | undefined
}

/**
 * How often the step was tried on the element that it works on, for steps that want to know.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline, Policy } from "skein"
 *
 * const flaky = Effect.flatMap(Pipeline.Attempt, ({ count }) => (count < 3 ? Effect.fail("busy") : Effect.succeed(count)))
 * const attempts = Pipeline.from(["element"]).pipe(
 *   Pipeline.map(() => Policy.apply(flaky, { backoff: { base: "1 millis" } })),
 *   Pipeline.collect
 * )
 *
 * await Effect.runPromise(attempts) // => [3]
 * ```
 */
export const Attempt: Context.Reference<Attempt> = Context.Reference("skein/Attempt", {
  defaultValue: (): Attempt => ({ key: undefined, count: 1 })
})

/** In the environment of what asks for an idempotency key. Steps over a source with positions take it out. */
export type Positions = "An idempotency key needs a source with positions, such as Source.list or Files.lines"

/**
 * The key of the element that the step works on (P15): the same in every attempt, run and replay, and another one for every other
 * element and every other step. For effects outside that must not happen twice, such as a payment. Only a step over a source
 * with positions can ask for it; elsewhere it does not compile.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline, Source } from "skein"
 *
 * const keys = Pipeline.from(Source.list([250], { name: "bills" })).pipe(
 *   Pipeline.map((amount) => Effect.map(Pipeline.idempotencyKey, (key) => `${amount}: ${key}`), { name: "pay" }),
 *   Pipeline.collect
 * )
 *
 * await Effect.runPromise(keys) // => ["250: collect:pay:1"]
 * ```
 */
export const idempotencyKey: Effect.Effect<string, never, Positions> = Effect.flatMap(Attempt, ({ key }) =>
  key === undefined
    ? Effect.die(new Error("An idempotency key was asked for outside of a step, or over a source without positions"))
    : Effect.succeed(key)
)
