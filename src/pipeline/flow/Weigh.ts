/** How much memory a value takes, roughly: enough to bound what a pipeline holds, cheap enough to ask for each element. */

/**
 * Bytes of the strings and binary data in `value`, however deep, plus a little for each object and field. All of it is
 * looked at where it has a few thousand parts; beyond that it is estimated from samples.
 */
export const weigh = (value: unknown): number => {
  if (typeof value === "string") return 16 + value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength
  left = most
  try {
    const bytes = measure(value, 3)
    if (left >= 0) return bytes
  } catch {
    // A getter threw.
  }
  return weighWell(value)
}

/** The most parts that are looked at one by one. */
const most = 8192

/** How many parts may still be looked at; negative once the value turns out not to be a small and plain one. */
let left = 0

/** For what most elements are, in less time than keeping a list of what was seen takes. */
const measure = (value: unknown, depth: number): number => {
  if (typeof value === "string") return 16 + value.length
  if (typeof value !== "object" || value === null) {
    // A method: this is no record, but perhaps a Blob.
    if (typeof value === "function") notPlain()
    return 8
  }
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength
  if (depth === 0 || left < 0) return notPlain()
  left -= 1
  let bytes = 32
  if (Array.isArray(value)) {
    left -= value.length
    if (left < 0) return 0
    for (let i = 0; i < value.length; i++) bytes += 8 + measure(value[i], depth - 1)
  } else {
    for (const key in value) bytes += 8 + measure((value as Record<string, unknown>)[key], depth - 1)
    // A Map and its like have no fields; to look at the prototype of each object would take longer.
    if (bytes === 32 && isKnown(value)) return notPlain()
  }
  return bytes
}

const notPlain = (): number => (left = -1)

const isKnown = (value: object): boolean => value instanceof Map || value instanceof Set || bytesOf(value) !== undefined

const weighWell = (value: object): number => {
  // Everything is in it once: cycles end.
  const found: Array<object> = [value]
  const known = new Set(found)
  let bytes = 0
  let parts = 0
  const add = (part: unknown): void => {
    parts += 1
    bytes += 8
    if (typeof part !== "object" || part === null) bytes += light(part)
    else if (!known.has(part)) {
      known.add(part)
      found.push(part)
    }
  }
  for (let i = 0; i < found.length; i++) {
    const one = found[i]!
    bytes += 32
    try {
      const whole = bytesOf(one)
      if (whole !== undefined) bytes += whole
      else if (parts + (sizeOf(one) ?? 0) > most) return estimate(value, most / 8)
      else if (Array.isArray(one)) one.forEach(add)
      else if (one instanceof Map) one.forEach((part, key) => (add(key), add(part)))
      else if (one instanceof Set) one.forEach(add)
      else for (const key in one) add(fieldOf(one, key))
    } catch {
      // A proxy may refuse anything.
    }
    if (parts > most) return estimate(value, most / 8)
  }
  return bytes
}

const light = (value: unknown): number => (typeof value === "string" ? 16 + value.length : 8)

/** Of what is known by its length. */
const bytesOf = (value: object): number | undefined => {
  if (ArrayBuffer.isView(value) || isBuffer(value)) return 32 + value.byteLength
  return value instanceof Blob ? 32 + value.size : undefined
}

const isBuffer = (value: object): value is ArrayBuffer | SharedArrayBuffer =>
  value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer)

/** How many parts it has, where that is known without counting them. */
const sizeOf = (value: object): number | undefined =>
  Array.isArray(value) ? value.length : value instanceof Map || value instanceof Set ? value.size : undefined

/** A field may be a getter that throws. */
const fieldOf = (value: object, key: string): unknown => {
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

/**
 * A container is known by a sample of its parts, and the containers in the sample by some of them, each with its share of the
 * `budget`, which ends cycles and any depth.
 */
const estimate = (value: object, budget: number): number => {
  const whole = bytesOf(value)
  if (whole !== undefined) return 32 + whole
  const { parts, size } = sampleOf(value, Math.max(16, budget))
  if (parts.length === 0) return 32 + 8 * size
  let sum = 0
  const inner: Array<object> = []
  for (const part of parts) {
    if (typeof part === "object" && part !== null) inner.push(part)
    else sum += light(part)
  }
  const some = everyNth(inner, Math.max(4, Math.floor(Math.sqrt(budget))))
  const share = (budget - 1) / some.length
  let innerSum = 0
  for (const one of some) innerSum += share < 1 ? 32 : estimate(one, share)
  if (some.length > 0) sum += (innerSum / some.length) * inner.length
  return 32 + 8 * size + (sum / parts.length) * size
}

/** Parts from all over a list, or from the beginning where getting to others would mean to pass them all. */
const sampleOf = (value: object, count: number): { readonly parts: ReadonlyArray<unknown>; readonly size: number } => {
  const parts: Array<unknown> = []
  let size = 0
  try {
    if (Array.isArray(value)) return { parts: everyNth(value, count), size: value.length }
    if (value instanceof Map) {
      for (const [key, part] of value) if (parts.push(key, part) >= count) break
      return { parts, size: value.size * 2 }
    }
    if (value instanceof Set) {
      for (const part of value) if (parts.push(part) >= count) break
      return { parts, size: value.size }
    }
    for (const key in value) if (++size <= count) parts.push(fieldOf(value, key))
  } catch {
    // As above.
  }
  return { parts, size }
}

const everyNth = <A>(all: ReadonlyArray<A>, count: number): ReadonlyArray<A> => {
  if (all.length <= count) return all
  return Array.from({ length: Math.floor(count) }, (_, i) => all[Math.floor((i * all.length) / count)]!)
}
