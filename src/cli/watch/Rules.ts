/** Who may ask the page's server what: this page in a browser of this machine, and nobody that has not been given the token. */
import { createHash, timingSafeEqual } from "node:crypto"

export interface Asked {
  readonly method: string
  /** As it stands in the first line of the request. */
  readonly target: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly authorization: string | undefined
}

export interface Refusal {
  readonly status: 401 | 403 | 404 | 405
  readonly why: string
  readonly allow?: string
}

/** The page itself tells nothing of the process, and a browser that follows a link cannot send the token: all else needs it. */
const paths: Readonly<Record<string, { readonly methods: ReadonlyArray<string>; readonly isOpen: boolean }>> = {
  "/": { methods: ["GET", "HEAD"], isOpen: true },
  "/live": { methods: ["GET"], isOpen: false }
}

export const refusal = (
  asked: Asked,
  server: { readonly port: number; readonly token: string }
): Refusal | undefined => {
  const { authorization, host, method, origin, target } = asked
  const hosts = [`127.0.0.1:${server.port}`, `localhost:${server.port}`]
  // A name of somebody else's that was made to mean this machine comes with that name.
  if (!hosts.includes(host?.toLowerCase() ?? "")) {
    return { status: 403, why: `this is ${hosts[0]}, and nothing else` }
  }
  if (origin !== undefined && !hosts.some((one) => origin === `http://${one}`)) {
    return { status: 403, why: "only its own page may ask" }
  }
  const path = Object.hasOwn(paths, target) ? paths[target] : undefined
  if (path?.isOpen !== true && !isSame(authorization ?? "", `Bearer ${server.token}`)) {
    return { status: 401, why: "the token is missing or wrong: open the URL that `skein watch` printed" }
  }
  if (path === undefined) return { status: 404, why: "there is nothing here" }
  if (!path.methods.includes(method)) {
    const allow = path.methods.join(", ")
    return { status: 405, why: `only ${allow}`, allow }
  }
  return undefined
}

/** Takes as long for a token that is nearly right. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(hash(a), hash(b))

const hash = (text: string): Buffer => createHash("sha256").update(text).digest()
