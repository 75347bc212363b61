/** What a body is to add up to: by an option, or by a header of its answer. */
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import type * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"

export type Algorithm = "sha256" | "sha384" | "sha512"

/** A digest that a body is to have, and who says so. */
export interface Expected {
  readonly algorithm: Algorithm
  readonly digest: Uint8Array
  readonly by: string
}

const lengths: Readonly<Record<Algorithm, number>> = { sha256: 32, sha384: 48, sha512: 64 }

/** A digest as Subresource Integrity writes it, in Base64 behind the name of its kind, or in hexadecimal digits. */
export const parse = (text: string): Expected | undefined => {
  const [, name, value] = /^(sha256|sha384|sha512)-(.+)$/.exec(text.trim()) ?? []
  if (name === undefined || value === undefined) return undefined
  const algorithm = name as Algorithm
  const digest = bytesOf(algorithm, value)
  return digest === undefined ? undefined : { algorithm, digest, by: "the option `digest`" }
}

const bytesOf = (algorithm: Algorithm, value: string): Uint8Array | undefined => {
  const length = lengths[algorithm]
  const decoded = value.length === length * 2 ? Hex.decode(value) : Base64.decode(value)
  return Result.isSuccess(decoded) && decoded.success.length === length ? decoded.success : undefined
}

/**
 * What the headers of an answer say of the whole (`Repr-Digest`, and `Digest` before it was called that), and of what it carries
 * itself (`Content-Digest`), where that is the whole. Of a coded body they speak of the coded bytes, and are not asked.
 */
export const ofHeaders = (headers: Headers.Headers, isWhole: boolean): ReadonlyArray<Expected> => [
  ...ofHeader("Repr-Digest", headers["repr-digest"]),
  ...(isWhole ? ofHeader("Content-Digest", headers["content-digest"]) : []),
  ...ofHeader("Digest", headers["digest"])
]

const ofHeader = (by: string, header: string | undefined): ReadonlyArray<Expected> =>
  (header ?? "").split(",").flatMap((member) => {
    const [, name = "", value = ""] = /^\s*([\w-]+)\s*=\s*:?([^:;]*):?/.exec(member) ?? []
    const algorithm = name.toLowerCase().replace("sha-", "sha")
    if (!(algorithm in lengths)) return []
    const digest = bytesOf(algorithm as Algorithm, value.trim())
    return digest === undefined ? [] : [{ algorithm: algorithm as Algorithm, digest, by: `the header \`${by}\`` }]
  })
