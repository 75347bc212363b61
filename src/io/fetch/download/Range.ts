/** Asking for the rest of something, and telling whether that is what came (RFC 9110). */
import type * as Headers from "effect/http/Headers"

/** By what a server knows that something is still what it was: a strong ETag, or a date that is old enough to be one. */
export type Validator = string

/**
 * The validator of an answer, if it has one that `If-Range` may be asked with. Of a date that is not a minute before the answer's own,
 * nobody knows whether a second version came within its second.
 */
export const validatorOf = (headers: Headers.Headers): Validator | undefined => {
  const etag = headers["etag"]
  if (etag !== undefined) return /^"[^"]*"$/.test(etag) ? etag : undefined
  const { date, "last-modified": modified } = headers
  if (modified === undefined || date === undefined) return undefined
  return Date.parse(modified) + 60_000 <= Date.parse(date) ? modified : undefined
}

/** Whether the rest of an answer can be asked for. */
export const isResumable = (headers: Headers.Headers): boolean =>
  isIdentity(headers) && headers["accept-ranges"]?.trim().toLowerCase() !== "none"

/** Whether the bytes that come are those that are asked for, and no coding of them. */
export const isIdentity = (headers: Headers.Headers): boolean => {
  const coding = headers["content-encoding"]?.trim().toLowerCase()
  return coding === undefined || coding === "" || coding === "identity"
}

/** A range is one of the bytes as they are: of a coded body it would be one of the coded bytes. */
export const identity: { readonly "accept-encoding": "identity" } = { "accept-encoding": "identity" }

/** Headers that ask for what stands behind the first `from` bytes; for the whole where it is another thing by now. */
export const from = (from: number, validator: Validator): { readonly [header: string]: string } => ({
  ...identity,
  range: `bytes=${from}-`,
  "if-range": validator
})

/** What came when the rest was asked for. */
export type Answer =
  | { readonly kind: "rest"; readonly total: number | undefined }
  /** All of it, from the first byte on. */
  | { readonly kind: "whole" }
  /** There is nothing behind that byte; `total` is how much there is. */
  | { readonly kind: "nothing"; readonly total: number | undefined }
  /** Neither; `reason` says what. */
  | { readonly kind: "wrong"; readonly reason: string }

/** Whether an answer is the rest that was asked for: a wrong one would be put into the middle of what there is. */
export const answerOf = (status: number, headers: Headers.Headers, from: number, validator: Validator): Answer => {
  const range = headers["content-range"] ?? ""
  if (status === 416) {
    const total = /^bytes\s+\*\/(\d+)$/i.exec(range.trim())?.[1]
    return { kind: "nothing", total: total === undefined ? undefined : Number(total) }
  }
  if (status !== 206) return { kind: "whole" }
  const wrong = (reason: string): Answer => ({ kind: "wrong", reason })
  if (/^\s*multipart\/byteranges/i.test(headers["content-type"] ?? "")) {
    return wrong("it answered with several ranges (multipart/byteranges)")
  }
  if (!isIdentity(headers)) return wrong(`it answered with a range of a coding (${headers["content-encoding"]})`)
  const parsed = /^bytes\s+(\d+)-(\d+)\/(\d+|\*)$/i.exec(range.trim())
  if (parsed === null) return wrong(`it answered with a range that it does not tell (Content-Range: ${range})`)
  const [first, last, total] = [Number(parsed[1]), Number(parsed[2]), parsed[3] === "*" ? undefined : Number(parsed[3])]
  if (first !== from) return wrong(`it answered with bytes from ${first} on, and those from ${from} on were asked for`)
  if (total !== undefined && last !== total - 1)
    return wrong(`it answered with bytes up to ${last} of ${total}, and the rest was asked for`)
  const { etag } = headers
  if (etag !== undefined && validator.startsWith('"') && etag !== validator)
    return wrong("it answered with a part of another version")
  return { kind: "rest", total }
}
