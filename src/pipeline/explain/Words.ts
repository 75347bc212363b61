/** What the parts of a job do, in words. */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import type { Batch, Each, Failing, Rate, Retry, Step } from "../Step.ts"

export const count = (n: number, what: string): string => `${n.toLocaleString("en")} ${n === 1 ? what : `${what}s`}`

export const bytes = (n: number): string => ByteSize.format(ByteSize.bytes(Math.round(n)), { precision: 1 })

export const time = (duration: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(duration))

/** Of steps that share their workers. */
export const workers = ({ concurrency, key, order, perKey }: Each): string => {
  if (concurrency === 1 && key === undefined) return "1 worker, in order"
  const many =
    typeof concurrency === "number"
      ? count(concurrency, "worker")
      : `${concurrency.min} to ${count(concurrency.max, "worker")}, as many as is quickest`
  if (key !== undefined) {
    const each = perKey === 1 ? "one element of a key at a time" : `${count(perKey, "element")} of a key at once`
    return `${many}, ${each}; in order within a key, not across keys`
  }
  return order === "input"
    ? `${many}; results keep the order of their inputs`
    : `${many}; results leave as they complete`
}

/** What one step does by itself. */
export const step = (step: Step): ReadonlyArray<string> => {
  switch (step._tag) {
    case "Batch":
      return [batch(step)]
    case "Unique":
      return ["drops what has a key that came before, in this run or an earlier one"]
    case "Scan":
      return ["one after the other, with a state that is in the checkpoint", failing(step)]
    case "Each":
      return [...kinds[step.kind], ...policy(step), failing(step)]
  }
}

const kinds: { readonly [Kind in Each["kind"]]: ReadonlyArray<string> } = {
  map: [],
  tap: ["gives the element itself"],
  filter: ["drops what is not true"],
  flatMap: ["one becomes many, which settle together"]
}

const batch = ({ bytes: size, key, size: most, within }: Batch): string =>
  [
    `arrays of ${most.toLocaleString("en")}`,
    ...(key === undefined ? [] : ["of one key"]),
    ...(size === Infinity ? [] : [`or ${bytes(size)}`]),
    ...(within === undefined ? [] : [`after ${time(within)} at the latest`])
  ].join(", ")

/** In the order of P6, from the outside. */
const policy = ({ policy }: Each): ReadonlyArray<string> => {
  if (policy === undefined) return []
  const { rate, ratePerKey, retry: again, timeout } = policy
  return [
    ...(timeout.total === undefined ? [] : [`${time(timeout.total)} for all attempts`]),
    ...(again === undefined ? [] : [retry(again)]),
    ...(rate === undefined ? [] : ["withPermit" in rate ? "attempts begin as a limiter lets them" : perTime(rate)]),
    ...(ratePerKey === undefined ? [] : [`${perTime(ratePerKey)} of one key`]),
    ...(timeout.attempt === undefined ? [] : [`${time(timeout.attempt)} for an attempt`])
  ]
}

const perTime = ({ burst, limit, per }: Rate): string =>
  `${count(limit, "attempt")} in ${time(per)} at most${burst === undefined ? "" : `, ${burst} at once after a pause`}`

export const retry = ({ backoff = {}, retries = 3, retryWhile }: Retry): string => {
  const { base = "250 millis", cap = "30 seconds", factor = 2 } = backoff
  const which = retryWhile === undefined ? "" : " where its error is worth it"
  const times = retries === Infinity ? "until it succeeds" : `up to ${count(retries, "time")}`
  return `tried again ${times}${which}, after ${time(base)}, ${factor} times as long each time, ${time(cap)} at most, all at random below that`
}

export const failing = ({ onError }: Failing): string => {
  if (onError === "fail") return "an error ends the run"
  if (onError === "skip") return "what it fails on is dropped and counted"
  const { defects, maxDead, parkKey } = onError
  return [
    `what it fails on${defects === true ? ", or throws for," : ""} is kept as a dead letter`,
    ...(parkKey === true ? ["and so is what follows of its key"] : []),
    ...(maxDead === undefined ? [] : [`${maxDead} at most, or the run ends`])
  ].join(", ")
}
