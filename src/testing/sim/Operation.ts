/**
 * What an operation of Effect is called in a trace, and what a fiber waits for. Our own waits tell; Effect
 * tells neither, so this looks into its primitives, here and nowhere else. Nothing but texts for people depends on it: what
 * is not recognised is called by a vaguer name. The names of all primitives that it knows are under test.
 */
import type * as Cause from "effect/Cause"
import type { EffectPrimitive } from "effect/Tracer"
import { wordsOf } from "../../concurrency/base/Wait.ts"

type Primitive = EffectPrimitive<unknown> & {
  readonly "~effect/Effect/identifier"?: string
  readonly "~effect/Effect/args"?: unknown
  readonly register?: (...args: ReadonlyArray<never>) => unknown
  readonly cause?: unknown
}

/** A few words for an operation that changes or decides something; none for one that only leads to others. */
export const labelOf = (operation: EffectPrimitive<unknown>): string | undefined => {
  const primitive = operation as Primitive
  const argument = primitive["~effect/Effect/args"]
  switch (primitive["~effect/Effect/identifier"]) {
    case "Sync":
    case "WithFiberSucceed":
      return sourceOf(argument)
    case "WithFiber":
      return String(argument).includes("forkUnsafe(") ? "forks a fiber" : undefined
    case "Yield":
      return "yields"
    case "Failure":
      return (primitive.cause as Cause.Cause<unknown>).reasons.every((reason) => reason._tag === "Interrupt")
        ? "is interrupted"
        : "fails"
    default:
      return undefined
  }
}

/** What a fiber waits for after this operation, if it is one that waits. */
export const waitOf = (operation: EffectPrimitive<unknown>): string | undefined => {
  const { "~effect/Effect/identifier": name, register } = operation as Primitive
  if (name !== "Async" || register === undefined) return undefined
  const words = wordsOf(register)
  if (words !== undefined) return words
  const source = register.toString()
  return waits.find(([pattern]) => pattern.test(source))?.[1] ?? "something outside"
}

const waits: ReadonlyArray<readonly [RegExp, string]> = [
  [/^\(\)\s*=>\s*(?:\{\s*\}|value)$/, "nothing that ever comes (Effect.never)"],
  [/\bself\.resumes\b/, "a Deferred"],
  [/\bfirstAvailableWaiter\b/, "permits of a Semaphore"],
  [/\bthis\._isOpen\b/, "a Latch"],
  [/\btakers\.add\b/, "a message in a Queue"],
  [/\bwaitToOffer\b/, "room in a Queue"],
  [/\bstate\.awaiters\b/, "the end of a Queue"],
  [/\bself\.pollers\b/, "a message of a PubSub"],
  [/\bonPubSubEmptySpaceUnsafe\b/, "room in a PubSub"],
  [/\bisShuttingDown\b/, "an item of a Pool"],
  [/\bisTransactionConsistent\b/, "a change of what its transaction has read"],
  [/\bonWinner\b/, "the first of a race"],
  [/\bgetCurrentFiber\(\)/, "effects that run concurrently"],
  [/\baddObserver\b|\biter\.next\(\)/, "a fiber"],
  [/\bthis\.timers\.splice\b/, "time to pass"],
  [/\bset(?:Timeout|Interval)\(/, "a real timer"],
  [/\.then\(/, "a promise"]
]

/** Comments, and before them what may look as if one began in it: strings, templates, and what is escaped in a pattern. */
const comments = /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|\\.)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g

/** The source of a function as a reader wants it in a narrow column. */
const sourceOf = (f: unknown): string | undefined => {
  if (typeof f !== "function") return undefined
  const source = f
    .toString()
    .replace(comments, "$1")
    .replace(/^(?:async\s+)?(?:function\s*\w*\s*\([^)]*\)|\(?[\w\s,{}]*\)?\s*=>)\s*/, "")
    .replace(/^\{\s*(?:return\s+)?/, "")
    .replace(/[\s;]*\}$/, "")
    .replace(/^\(0,\s*(.*)\)$/, "$1")
    .replace(/^void\s+/, "")
    .replace(/\b__vi_import_\d+__\./g, "")
    .replace(/\s+/g, " ")
    .trim()
  // Nobody asks when a span ends, and every `Effect.fn` has one.
  return source === "" || source === "void 0" || source.startsWith("if (span.status") ? undefined : source
}
