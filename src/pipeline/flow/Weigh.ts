/** How much memory a value takes, roughly: enough to bound what a pipeline holds, cheap enough to ask for each element. */

/** Bytes of strings and binary data in `value`, to a depth of three, plus a little for each object and field. */
export const weigh = (value: unknown): number => measure(value, 3)

const measure = (value: unknown, depth: number): number => {
  if (typeof value === "string") return 16 + value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 64 + value.byteLength
  if (depth === 0) return 64
  let bytes = 32
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) bytes += 8 + measure(value[i], depth - 1)
  } else {
    for (const key in value) bytes += 8 + measure((value as Record<string, unknown>)[key], depth - 1)
  }
  return bytes
}
