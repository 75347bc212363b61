/** What a key is kept by: a text of bounded length, another one for each key. */
import { sha256 } from "../../concurrency/base/Sha256.ts"
import type { Key } from "../Step.ts"

/** Longer ones are kept by their digest. */
const longest = 128

export const nameOf = (key: Key): string => {
  const kind = kinds[typeof key as keyof typeof kinds]
  if (kind === undefined) throw new TypeError(`A key has to be a string, number, bigint or boolean, not ${named(key)}`)
  const text = String(key)
  return text.length <= longest ? kind + text : `#${kind}${sha256(text)}`
}

const kinds = { string: "s", number: "n", bigint: "i", boolean: "b" } as const

const named = (key: unknown): string => (key === null ? "null" : typeof key)
