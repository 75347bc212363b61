/** Vitest on simulations: the `it` of `@effect/vitest`, with `it.sim` and `it.everywhere`. */
import * as EffectVitest from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Formatter from "effect/Formatter"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as V from "vitest"
import * as Interrupt from "./Interrupt.ts"
import { replayLine } from "./SimError.ts"
import { BadToken } from "./Schedules.ts"
import * as Sim from "./Sim.ts"

/** An effect, or how to make one; each run has a scope of its own. */
export type Subject<A, E> = Effect.Effect<A, E, Scope.Scope> | (() => Effect.Effect<A, E, Scope.Scope>)

export interface SimOptions<A, E> extends Sim.ExploreOptions<A, E>, Pick<V.TestOptions, "timeout"> {}

export interface EverywhereOptions<A, E> extends Interrupt.Options<A, E>, Pick<V.TestOptions, "timeout"> {}

export interface PropOptions<A, E> extends Sim.ExploreOptions<A, E>, Pick<V.TestOptions, "timeout"> {
  /** How inputs are drawn and shrunk: 50 of them by default, shrunk in 500 steps. */
  readonly arbitrary?: Arbitrary.CheckOptions | undefined
}

// oxlint-disable-next-line typescript/no-explicit-any -- inputs are of every type; `Value` gives each its own
type Input = Schema.Schema<any> | Arbitrary.Arbitrary<any>
type Value<I> = I extends Schema.Schema<infer A> ? A : I extends Arbitrary.Arbitrary<infer A> ? A : never
type Values<Inputs extends ReadonlyArray<Input>> = { -readonly [K in keyof Inputs]: Value<Inputs[K]> }

export interface SimTest {
  /**
   * Explores the effect as `Sim.explore` does, and fails with the smallest schedule that breaks it. An exhaustive search
   * also fails where it has not come to its end.
   */
  <A, E>(name: string, subject: Subject<A, E>, options?: SimOptions<A, E>): void
}

export interface SimTester extends SimTest {
  readonly skip: SimTest
  readonly only: SimTest
  /**
   * Draws inputs from schemas or arbitraries, explores the effect of each (20 schedules by default), and fails with the
   * smallest input that some schedule breaks and the smallest such schedule.
   */
  readonly prop: <const Inputs extends ReadonlyArray<Input>, A, E>(
    name: string,
    inputs: Inputs,
    effect: (...values: Values<Inputs>) => Effect.Effect<A, E, Scope.Scope>,
    options?: PropOptions<A, E>
  ) => void
}

export interface EverywhereTest {
  /** Interrupts the effect at every point as `Interrupt.everywhere` does. */
  <A, E>(name: string, subject: Subject<A, E>, options?: EverywhereOptions<A, E>): void
}

export interface EverywhereTester extends EverywhereTest {
  readonly skip: EverywhereTest
  readonly only: EverywhereTest
}

export interface Methods<ExtraContext = {}> extends EffectVitest.Vitest.Methods<never, ExtraContext> {
  readonly sim: SimTester
  readonly everywhere: EverywhereTester
}

/**
 * The `it` of `@effect/vitest`, with tests that explore: `it.sim(name, effect, { schedules })`, `it.sim.prop(name, [schemas], (…) =>
 * effect)` and `it.everywhere(name, effect)`. Each takes the options of what it runs; `replay` repeats one schedule.
 *
 * @example
 * ```ts no-run is registered with a test runner
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Semaphore from "effect/Semaphore"
 * import { Leaks } from "skein/testing"
 * import { it } from "skein/testing/vitest"
 *
 * const guarded = (permits: number) =>
 *   Effect.gen(function* () {
 *     const semaphore = yield* Semaphore.make(permits)
 *     yield* Leaks.semaphore(semaphore, permits)
 *     yield* Effect.all([Effect.sleep(10), Effect.sleep(20)].map(semaphore.withPermit), { concurrency: 2 })
 *   })
 *
 * it.sim("ends under every order", guarded(1), { schedules: 500 })
 * it.everywhere("gives its permits back, wherever it is interrupted", guarded(1))
 * it.sim.prop("ends with any number of permits", [Schema.Literals([1, 2, 3])], guarded)
 * ```
 */
export const it: Methods = extend(EffectVitest.it)

/**
 * Adds `sim` and `everywhere` to an `it` of your own, such as one that `makeMethods` of `@effect/vitest` gave.
 *
 * @example
 * ```ts no-run is registered with a test runner
 * import { makeMethods, test } from "@effect/vitest"
 * import * as Effect from "effect/Effect"
 * import { extend } from "skein/testing/vitest"
 *
 * const it = extend(makeMethods(test.extend("port", () => 3000)))
 *
 * it.sim("sleeps", Effect.sleep("1 hour"))
 * ```
 */
export function extend<ExtraContext>(base: EffectVitest.Vitest.Methods<never, ExtraContext>): Methods<ExtraContext> {
  const sim =
    (test: Register): SimTest =>
    (name, subject, { timeout, ...options } = {}) =>
      test(name, timeout, (annotate) =>
        Effect.flatMap(explored(scoped(subject), options), ({ complete, summary }) =>
          complete ? Effect.promise(() => annotate(summary)) : Effect.void
        )
      )
  const prop: SimTester["prop"] = (name, inputs, effect, { arbitrary, timeout, ...options } = {}) => {
    const apply = (values: ReadonlyArray<unknown>) => effect(...(values as Values<typeof inputs>))
    register(base)(name, timeout, () => checked(inputs, apply, arbitrary, options))
  }
  const everywhere =
    (test: Register): EverywhereTest =>
    (name, subject, { timeout, ...options } = {}) =>
      test(name, timeout, () => Interrupt.everywhere(scoped(subject), options))
  const own = {
    sim: Object.assign(sim(register(base)), { skip: sim(register(base.skip)), only: sim(register(base.only)), prop }),
    everywhere: Object.assign(everywhere(register(base)), {
      skip: everywhere(register(base.skip)),
      only: everywhere(register(base.only))
    })
  }
  return new Proxy(base, {
    get: (target, key, receiver) =>
      Object.hasOwn(own, key) ? Reflect.get(own, key) : Reflect.get(target, key, receiver)
  }) as Methods<ExtraContext>
}

type Annotate = (message: string) => Promise<unknown>

type Register = (
  name: string,
  timeout: number | undefined,
  run: (annotate: Annotate) => Effect.Effect<unknown, unknown>
) => void

type Test = (name: string, options: V.TestOptions, f: (context: V.TestContext) => Promise<unknown>) => void

/** A simulation runs beside the test and not inside of its scheduler and clock. */
function register(test: Test): Register {
  return (name, timeout, run) =>
    test(name, timeout === undefined ? {} : { timeout }, ({ annotate, signal }) =>
      Effect.runPromise(
        Effect.mapError(
          Effect.suspend(() => run(annotate)),
          (error) => (isFound(error) ? failure(error, error.message) : error)
        ),
        { signal }
      )
    )
}

type Found = Sim.BugFound | Sim.OutsideNondeterminism

const isFound = (error: unknown): error is Found =>
  error instanceof Sim.BugFound || error instanceof Sim.OutsideNondeterminism

/** Runners print stack, fields and causes: here the message says it all, and the cause where it is an error of the program. */
const failure = (found: Found, message: string): Error => {
  const ofProgram = (error: unknown) => !(error instanceof Sim.Deadlock || error instanceof Sim.Livelock)
  const cause =
    found instanceof Sim.BugFound && found.cause instanceof Error && ofProgram(found.cause)
      ? { cause: found.cause }
      : {}
  const error = new Error(message, cause)
  error.name = found._tag
  error.stack = `${found._tag}: ${message}`
  return error
}

/** A test that promises every order has to keep it. */
const explored = <A, E>(effect: Effect.Effect<A, E>, options: Sim.ExploreOptions<A, E>) =>
  Effect.tap(Sim.explore(effect, options), ({ complete, summary }) =>
    options.exhaustive && options.replay === undefined && !complete
      ? Effect.die(
          new Error(
            `not every order was run: ${summary}. Make the program smaller, with fewer fibers and steps, allow fewer ` +
              "`preemptions`, or raise `schedules`"
          )
        )
      : Effect.void
  )

function scoped<A, E>(subject: Subject<A, E>): Effect.Effect<A, E> {
  return Effect.isEffect(subject) ? Effect.scoped(subject) : Effect.suspend(() => Effect.scoped(subject()))
}

/** Input and order on one line. */
const pairOf = (input: string, order: string): string => `${Base64Url.encode(input)}/${order}`

const parsePair = (pair: string): { readonly input: string; readonly order: string } => {
  const [input, order] = pair.split("/")
  const decoded = Base64Url.decodeString(input ?? "")
  if (order === undefined || Result.isFailure(decoded)) {
    throw new BadToken({ token: pair, why: "it has not an input, a slash and an order, as it.sim.prop prints them" })
  }
  return { input: decoded.success, order }
}

const checked = Effect.fnUntraced(function* <A, E>(
  inputs: ReadonlyArray<Input>,
  effect: (values: ReadonlyArray<unknown>) => Effect.Effect<A, E, Scope.Scope>,
  arbitrary: Arbitrary.CheckOptions | undefined,
  { replay, ...options }: Sim.ExploreOptions<A, E>
) {
  const arbitraries = inputs.map((input): Arbitrary.Arbitrary<unknown> =>
    Schema.isSchema(input) ? Arbitrary.schema(input) : (input as Arbitrary.Arbitrary<unknown>)
  )
  const explore = (values: ReadonlyArray<unknown>, more: Sim.ExploreOptions<A, E>) =>
    explored(
      scoped(() => effect(values)),
      { ...options, ...more }
    )
  // Once an input fails, smaller ones are looked at harder: they have fewer orders that fail.
  const first = options.schedules ?? (options.exhaustive ? undefined : 20)
  let schedules = first
  const pair = replay === undefined ? undefined : parsePair(replay)
  const result = yield* Arbitrary.checkEffect(
    Arbitrary.all(arbitraries),
    (values) =>
      explore(values, { shrinks: 0, schedules }).pipe(
        Effect.tapError(() => Effect.sync(() => void (schedules = first && 10 * first))),
        Effect.as(true)
      ),
    { runs: 50, maxShrinks: 500, ...arbitrary, replay: pair?.input ?? arbitrary?.replay }
  )
  if (result._tag === "Falsified") {
    const input = result.shrunkInput.map((value) => Formatter.format(value)).join(", ")
    const { failure: seen } = result
    // The order is shrunk once, for the smallest input; what does not fail again is told as it was seen.
    const again = Effect.andThen(
      explore(result.shrunkInput, { schedules, replay: pair?.order }),
      seen._tag === "PropertyError" ? Effect.fail(seen.error) : Effect.void
    )
    return yield* Effect.mapError(again, (found) => {
      const order = replayLine(found.token)
      const both = replayLine(pairOf(result.replay, found.token))
      return failure(found, `with the input ${input}: ${found.message.replace(order, both)}`)
    })
  }
  // A replay of what does not fail any more is no failure.
  const problem = result._tag === "ReplayMismatch" ? undefined : Arbitrary.formatCheckFailure(result)
  return problem === undefined ? undefined : yield* Effect.die(new Error(problem))
})
