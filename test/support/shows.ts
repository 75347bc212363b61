import * as Equal from "effect/Equal"
import { inspect, isDeepStrictEqual } from "node:util"

/** What `// => value` in an example says. */
export const shows = (actual: unknown, expected: unknown, at: string): void => {
  if (Equal.equals(actual, expected) || isDeepStrictEqual(actual, expected)) return
  throw new Error(`${at} says => ${inspect(expected)}, but it is ${inspect(actual)}`)
}
