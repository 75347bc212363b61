/** Forms with files, as `multipart/form-data` (RFC 7578), with names escaped as browsers do. */
import * as HttpBody from "effect/http/HttpBody"
import type { Random } from "effect/Random"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { type BodyStream, repeatable } from "./BodyStream.ts"

/** A file of a form: what it is called, what it is, and its bytes, which need not be in a file. */
export interface File {
  readonly name: string
  /** Its media type, default `application/octet-stream`. */
  readonly type?: string | undefined
  readonly content: string | Uint8Array | BodyStream
  /** How many bytes a stream is going to give, where that is known: then the server is told the length of the whole. */
  readonly size?: number | undefined
}

/** The fields of a form by their names, each once or several times. */
export interface Fields {
  readonly [name: string]: string | File | ReadonlyArray<string | File>
}

interface Part {
  readonly head: string
  readonly content: Uint8Array | BodyStream
  readonly size: number | undefined
}

/** The body of a form, streamed only where a file of it is. */
export const body = (fields: Fields, random: Random): Result.Result<HttpBody.HttpBody, string> => {
  const parts: Array<Part> = []
  for (const [name, given] of Object.entries(fields)) {
    for (const value of Array.isArray(given) ? (given as ReadonlyArray<string | File>) : [given as string | File]) {
      const part = partOf(name, value)
      if (Result.isFailure(part)) return Result.fail(part.failure)
      parts.push(part.success)
    }
  }
  const boundary = boundaryFor(parts, random)
  const type = `multipart/form-data; boundary=${boundary}`
  const pieces: Array<Uint8Array | BodyStream> = []
  let size: number | undefined = 0
  const add = (piece: Uint8Array | BodyStream, length: number | undefined): void => {
    pieces.push(piece)
    size = size === undefined || length === undefined ? undefined : size + length
  }
  const text = (piece: string): void => {
    const bytes = utf8.encode(piece)
    add(bytes, bytes.length)
  }
  for (const { content, head, size: length } of parts) {
    text(`--${boundary}\r\n${head}\r\n\r\n`)
    add(content, length)
    text("\r\n")
  }
  text(`--${boundary}--\r\n`)
  if (pieces.every((piece) => piece instanceof Uint8Array)) {
    return Result.succeed(HttpBody.uint8Array(joined(pieces), type))
  }
  const streams = pieces.map((piece) => (piece instanceof Uint8Array ? Stream.succeed(piece) : piece))
  return Result.succeed(HttpBody.stream(repeatable(Stream.flatten(Stream.fromArray(streams))), type, size))
}

const utf8 = new TextEncoder()

const partOf = (name: string, value: string | File): Result.Result<Part, string> => {
  const where = `its form field "${name.toWellFormed()}"`
  if (!name.isWellFormed()) return Result.fail(`${where} ${JsonText.noUtf8}`)
  const disposition = `Content-Disposition: form-data; name="${escaped(name)}"`
  if (typeof value === "string") {
    if (!value.isWellFormed()) return Result.fail(`${where} ${JsonText.noUtf8}`)
    const content = utf8.encode(value.replace(lineBreak, "\r\n"))
    return Result.succeed({ head: disposition, content, size: content.length })
  }
  const { content: given, name: file, size, type = "application/octet-stream" } = value
  if (!file.isWellFormed()) return Result.fail(`${where}: the name of its file ${JsonText.noUtf8}`)
  // oxlint-disable-next-line no-control-regex -- what would end the line, and the head with it
  if (!/^[\w!#$&^.+*-]+\/[^\x00-\x1f\x7f]+$/.test(type))
    return Result.fail(`${where}: ${JSON.stringify(type)} is no media type`)
  if (typeof given === "string" && !given.isWellFormed()) return Result.fail(`${where} ${JsonText.noUtf8}`)
  const content = typeof given === "string" ? utf8.encode(given) : given
  return Result.succeed({
    head: `${disposition}; filename="${escaped(file)}"\r\nContent-Type: ${type}`,
    content,
    size: content instanceof Uint8Array ? content.length : size
  })
}

const lineBreak = /\r\n|\r|\n/g

/** A name may hold whatever it likes but what would end it. */
const escaped = (name: string): string =>
  name.replace(/[\r\n"]/g, (found) => (found === "\r" ? "%0D" : found === "\n" ? "%0A" : "%22"))

/** Something that stands in none of the parts: by looking at those that are known, by chance at the others. */
const boundaryFor = (parts: ReadonlyArray<Part>, random: Random): string => {
  for (;;) {
    const chance = Array.from({ length: 4 }, () => (random.nextIntUnsafe() >>> 0).toString(16).padStart(8, "0"))
    const boundary = `skein-${chance.join("")}`
    const bytes = utf8.encode(`--${boundary}`)
    if (!parts.some(({ content }) => content instanceof Uint8Array && includes(content, bytes))) return boundary
  }
}

const includes = (bytes: Uint8Array, wanted: Uint8Array): boolean => {
  for (let at = bytes.indexOf(wanted[0]!); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true
  }
  return false
}

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
