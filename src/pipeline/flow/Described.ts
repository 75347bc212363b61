/** A step as data, made of the options it was given; those that make no sense are refused. */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps */
import * as Duration from "effect/Duration"
import { checkDuration, checkFlag, checkNumber, checkWhole, isCount } from "../../concurrency/base/Options.ts"
import type { BatchOptions, Batch, Each, Range, Rate, Retry, StepOptions } from "../Step.ts"

/** The step that comes `place`th in its pipeline. */
export const eachOf = (
  kind: Each["kind"],
  f: (value: any) => unknown,
  place: number,
  options: StepOptions<any> = {}
): Each => {
  check(options)
  const { key, perKey = 1, rate, ratePerKey, retry, timeout } = options
  const isPlain = [rate, ratePerKey, retry, timeout].every((option) => option === undefined)
  return {
    _tag: "Each",
    kind,
    name: options.name ?? `${kind}-${place}`,
    concurrency: options.concurrency ?? 1,
    order: options.order ?? "input",
    key,
    perKey,
    policy: isPlain ? undefined : { retry, timeout: timeout ?? {}, rate, ratePerKey },
    onError: options.onError ?? "fail",
    catch: options.catch,
    f
  }
}

export const batchOf = (size: number, place: number, options: BatchOptions<any> = {}): Batch => {
  const { bytes, key, name, within } = options
  checkWhole("The batch size of a pipeline", size, 1)
  checkDuration("within", within)
  checkNumber("bytes", bytes, 1)
  return {
    _tag: "Batch",
    name: name ?? `batch-${place}`,
    size,
    within: within === undefined ? undefined : Duration.fromInputUnsafe(within),
    bytes: bytes ?? Infinity,
    key
  }
}

/** Throws unless so many workers, or so many at the least and the most, can be had. */
export const checkConcurrency = (concurrency: number | Range | undefined): void => {
  if (typeof concurrency !== "object") return checkWhole("The concurrency of a pipeline", concurrency, 1)
  const { max, min } = concurrency
  if (isCount(min) && isCount(max) && 1 <= min && min <= max) return
  throw new RangeError(
    `The concurrency of a pipeline needs whole numbers with 1 ≤ min ≤ max; got min ${String(min)}, max ${String(max)}`
  )
}

const check = (options: StepOptions<any>): void => {
  const { concurrency, key, onError, order, perKey, rate, ratePerKey, retry, timeout } = options
  checkConcurrency(concurrency)
  checkWhole("perKey", perKey, 1)
  if (typeof onError === "object") {
    checkFlag("defects", onError.defects)
    checkFlag("parkKey", onError.parkKey)
  }
  if (retry !== undefined) checkRetry(retry)
  checkDuration("timeout.attempt", timeout?.attempt)
  checkDuration("timeout.total", timeout?.total)
  if (rate !== undefined && !("withPermit" in rate)) checkRate("rate", rate)
  if (ratePerKey !== undefined) checkRate("ratePerKey", ratePerKey)
  if (key !== undefined) {
    if (order === undefined) return
    throw new RangeError(`A step with a key keeps the order within each key and no other: leave out order: "${order}"`)
  }
  const parks = typeof onError === "object" && onError.parkKey === true ? true : undefined
  for (const [option, given] of Object.entries({ perKey, ratePerKey, parkKey: parks })) {
    if (given !== undefined) throw new RangeError(`${option} is about the keys of a step: give it a key as well`)
  }
}

const checkRetry = ({ backoff, retries }: Retry): void => {
  checkWhole("retry.retries", retries, 0, "unlimited")
  if (backoff === undefined) return
  checkDuration("retry.backoff.base", backoff.base)
  checkNumber("retry.backoff.factor", backoff.factor, 0)
  checkDuration("retry.backoff.cap", backoff.cap)
}

const checkRate = (option: string, { burst, limit, per }: Rate): void => {
  checkDuration(`${option}.per`, per)
  checkNumber(`${option}.burst`, burst, 1)
  const millis = Duration.toMillis(per)
  if (limit > 0 && limit < Infinity && millis > 0 && millis < Infinity) return
  throw new RangeError(
    `${option} must be so many in a time, both positive and finite; got limit ${String(limit)}, per ${Duration.format(Duration.millis(millis))}`
  )
}
