/** Numbers of any size, as PostgreSQL's `numeric` has them: digits to the base of 10,000. */
import type { Bytes } from "./Bytes.ts"

const form = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/

/** As many digits as there may be before the point, and behind it. */
const limits = { before: 131_072, behind: 16_383 }

/**
 * Writes the length of a number and the number: its decimal text, NaN or an infinity. Gives what is wrong with it otherwise, in words
 * that follow the name of its field; an empty text where it is no number.
 */
export const writeDecimal = (out: Bytes, text: string): string | undefined => {
  const special = specials[text]
  if (special !== undefined) {
    header(out, 0, 0, special, 0)
    return undefined
  }
  const [matched, sign, before = "", behind = "", exponent = "0"] = form.exec(text) ?? []
  if (matched === undefined || (before === "" && behind === "")) return ""
  let digits = before + behind
  let point = before.length + Number(exponent)
  const scale = Math.max(0, digits.length - point)

  const zeros = countZeros(digits)
  digits = digits.slice(zeros)
  point -= zeros
  if (digits !== "" && point > limits.before) return `has more than ${limits.before} digits before its point`
  if (scale > limits.behind) return `has more than ${limits.behind} digits behind its point`
  if (digits === "") {
    header(out, 0, 0, 0, scale)
    return undefined
  }

  // Groups of four, counted from the point.
  const lead = (((4 - (point % 4)) % 4) + 4) % 4
  const groups = Math.ceil((lead + digits.length) / 4)
  const weight = (point + lead) / 4 - 1
  digits = "0".repeat(lead) + digits + "0".repeat(groups * 4 - lead - digits.length)
  let used = groups
  while (used > 0 && digits.endsWith("0000", used * 4)) used--
  header(out, used, weight, sign === "-" ? 0x4000 : 0, scale)
  for (let at = 0; at < used * 4; at += 4) {
    out.int16(
      digits.charCodeAt(at) * 1000 +
        digits.charCodeAt(at + 1) * 100 +
        digits.charCodeAt(at + 2) * 10 +
        digits.charCodeAt(at + 3) -
        1111 * 48
    )
  }
  return undefined
}

const specials: { readonly [text: string]: number | undefined } = Object.assign(Object.create(null), {
  NaN: 0xc000,
  Infinity: 0xd000,
  "-Infinity": 0xf000
})

const countZeros = (digits: string): number => {
  let at = 0
  while (at < digits.length && digits.charCodeAt(at) === 48) at++
  return at
}

const header = (out: Bytes, groups: number, weight: number, sign: number, scale: number): void => {
  out.int32(8 + groups * 2)
  out.int16(groups)
  out.int16(weight)
  out.int16(sign)
  out.int16(scale)
}
