/** How an answer begins, for an error: without the secrets of the request, which servers repeat in what they complain of. */
import * as Base64 from "effect/encoding/Base64"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Secrets from "../../../concurrency/base/Secrets.ts"
import * as TextRule from "../../text/TextRule.ts"
import type { Outgoing } from "./FetchRequest.ts"
import { isSecret } from "./ShownUrl.ts"

/** In bytes. */
const longest = 500
/** So much behind it is looked at: a secret that is cut in two would not be found. */
const behind = 8192
/** What is shorter is in many texts by chance. */
const shortest = 6

/** The first 500 bytes of a body, where it is text. */
export const excerpt = (
  body: Uint8Array,
  response: HttpClientResponse,
  outgoing: Outgoing
): { readonly excerpt?: string } => {
  const start = body.length === 0 ? undefined : TextRule.start(body, response.headers, longest)
  if (start === undefined) return {}
  const text = TextRule.start(body, response.headers, longest + behind) ?? start
  // As it was sent, with cookies and new headers.
  const hidden = secretsOf(response.request, outgoing).reduce((text, one) => text.replaceAll(one, Secrets.mark), text)
  return { excerpt: hidden.slice(0, start.length) }
}

/** Longer ones first: some have others in them. */
const secretsOf = ({ headers }: HttpClientRequest, { secret, url }: Outgoing): ReadonlyArray<string> => {
  const inHeaders = Object.entries(headers).flatMap(([name, value]) => (isSecret(name, secret) ? partsOf(value) : []))
  const inUrl = [...url.searchParams].flatMap(([name, value]) =>
    Secrets.isSecretParameter(name, secret) ? [value, encodeURIComponent(value)] : []
  )
  return [...inHeaders, ...inUrl]
    .filter((text) => text.length >= shortest && !/^(bearer|digest)$/i.test(text))
    .toSorted((a, b) => b.length - a.length)
}

/** `Bearer x`, `a=x; b=y` and `Basic x`, as they are and in their parts. */
const partsOf = (value: string): ReadonlyArray<string> => {
  const words = value.split(/[\s;,]+/)
  const values = words.map((word) => word.slice(word.indexOf("=") + 1))
  const user = /^basic$/i.test(words[0]!) ? Result.getOrElse(Base64.decodeString(words[1] ?? ""), () => "") : ""
  return [value, ...words, ...values, user, user.slice(user.indexOf(":") + 1)]
}
