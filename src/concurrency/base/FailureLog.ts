/** S27: what this floor logs of the failures of others: a cause that cannot be printed breaks nothing. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as ErrorText from "./ErrorText.ts"
import * as Foreign from "./Foreign.ts"
import * as Log from "./Log.ts"

export const warning = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  line("Warn", message, cause)

export const error = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  line("Error", message, cause)

const line = (level: "Warn" | "Error", message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { pretty, shown } = printed(cause)
    const left = leftOut(cause, pretty)
    const words = () => inWords(cause)
    return Log.line(level, left === "" ? message : `${message}: ${left}`, { cause: shown, pretty, words })
  })
const inWords = (cause: Cause.Cause<unknown>): string =>
  cause.reasons.flatMap((reason) => (Cause.isInterruptReason(reason) ? [] : [ErrorText.of(of(reason))])).join("; ")

/** What stacks do not show: the fields of an error, and those that it is made of. */
const leftOut = (cause: Cause.Cause<unknown>, shown: string): string =>
  inWords(cause)
    .split("; caused by ")
    .every((link) => shown.includes(link))
    ? ""
    : inWords(cause)

/** As `Cause.pretty`, of any cause. */
export const pretty = (cause: Cause.Cause<unknown>): string => printed(cause).pretty

/** Looked at once: what can be printed may throw when it is printed again. */
const printed = (cause: Cause.Cause<unknown>): { readonly shown: Cause.Cause<unknown>; readonly pretty: string } => {
  const given = Foreign.attempt(() => Cause.pretty(cause), undefined)
  if (given !== undefined) return { shown: cause, pretty: given }
  const shown = inert(cause)
  return { shown, pretty: Cause.pretty(shown) }
}

/** The cause with errors of ours in the place of those of others. */
const inert = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.fromReasons(
    cause.reasons.map((reason) => {
      if (Cause.isInterruptReason(reason)) return reason
      const made = remade(of(reason))
      const instead = Cause.isFailReason(reason) ? Cause.makeFailReason(made) : Cause.makeDieReason(made)
      return instead.annotate(Cause.reasonAnnotations(reason))
    })
  )

/** An error that says the same, and so do the first of its causes. */
const remade = (foreign: unknown): Error | undefined =>
  [...Foreign.chain(foreign, 8)].reduceRight<Error | undefined>((cause, one) => {
    const error = new Error(Foreign.messageOf(one), cause && { cause })
    const stack = Foreign.get(one, "stack")
    error.name = Foreign.nameOf(one) ?? error.name
    error.stack = typeof stack === "string" ? stack : Foreign.describe(one)
    return error
  }, undefined)

const of = (reason: Cause.Fail<unknown> | Cause.Die): unknown =>
  Cause.isFailReason(reason) ? reason.error : reason.defect
