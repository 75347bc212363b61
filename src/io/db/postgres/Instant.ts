/** Points in time as PostgreSQL has them: microseconds, or days, from the year 2000 on. */

/** From a timestamp's text: ISO 8601, or what PostgreSQL itself writes. */
const form =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?( BC)?$/
/** A year before 0 or after 9999, as ISO 8601 has it. */
const expanded = /^([+-])(\d{6})(-.*)$/s

export interface Instant {
  /** Of the wall clock it names, from 1970 on. */
  readonly milliseconds: number
  /** Beyond the milliseconds. */
  readonly microseconds: number
  /** How far its clock is before UTC, in milliseconds; undefined where it does not say. */
  readonly offset: number | undefined
  /** Whether it names a time, and not only a day. */
  readonly timed: boolean
}

/** What a text says; undefined where it is no timestamp. */
export const parse = (text: string): Instant | undefined => {
  const [, sign, years, rest] = expanded.exec(text) ?? []
  const negative = sign === "-"
  const matched = form.exec(sign === undefined ? text : `${years}${rest}`)
  if (matched === null) return undefined
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone, before] = matched
  if (negative && before !== undefined) return undefined
  const written = Number(year)
  // There is no year 0 before Christ: 1 BC is the year 0.
  const counted = before !== undefined ? 1 - written : negative ? -written : written
  if (before !== undefined && written === 0) return undefined
  const m = Number(month)
  const d = Number(day)
  if (m < 1 || m > 12 || d < 1 || d > daysOf(counted, m)) return undefined
  const h = Number(hour)
  const min = Number(minute)
  const s = Number(second)
  // As PostgreSQL: 24:00 and second 60 are the start of what comes next.
  if (h > 24 || min > 59 || s > 60 || (h === 24 && (min > 0 || s > 0 || /[1-9]/.test(fraction)))) return undefined
  const micros = Math.round(Number(`0.${fraction || "0"}`) * 1_000_000)
  const milliseconds = daysFrom1970(counted, m, d) * 86_400_000 + ((h * 60 + min) * 60 + s) * 1000
  const offset = zone === undefined ? undefined : offsetOf(zone)
  if (zone !== undefined && offset === undefined) return undefined
  return {
    milliseconds: milliseconds + Math.floor(micros / 1000),
    microseconds: micros % 1000,
    offset,
    timed: matched[4] !== undefined
  }
}

const offsetOf = (zone: string): number | undefined => {
  if (zone === "Z") return 0
  const digits = zone.slice(1).replaceAll(":", "")
  const hours = Number(digits.slice(0, 2))
  const minutes = Number(digits.slice(2, 4) || "0")
  const seconds = Number(digits.slice(4, 6) || "0")
  if (hours > 15 || minutes > 59 || seconds > 59) return undefined
  return ((hours * 60 + minutes) * 60 + seconds) * (zone.startsWith("-") ? -1000 : 1000)
}

const daysOf = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

/** Of the Gregorian calendar, also before there was one. */
const daysFrom1970 = (year: number, month: number, day: number): number => {
  const y = month > 2 ? year : year - 1
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

/** What PostgreSQL writes of a timestamp, as ISO 8601 has it: 2026-01-02T03:04:05.006Z. Other texts stay as they are. */
export const toIso = (text: string): string => {
  const matched = /^(\d{4,6})-(\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(\+00)?( BC)?$/.exec(text)
  if (matched === null) return text
  const [, year = "", day, time, fraction = "", zone, before] = matched
  const counted = before === undefined ? Number(year) : 1 - Number(year)
  const digits = String(Math.abs(counted))
  const years =
    counted >= 0 && counted <= 9999 ? digits.padStart(4, "0") : `${counted < 0 ? "-" : "+"}${digits.padStart(6, "0")}`
  return `${years}-${day}T${time}.${fraction.padEnd(3, "0")}${zone === undefined ? "" : "Z"}`
}

/** What ISO 8601 has for a point in time, as PostgreSQL reads it: it knows no signs before years, and no year 0. */
export const toPostgres = (iso: string): string => {
  const [, sign = "", year, rest] = /^([+-]?)(\d{4,6})(-.*)$/s.exec(iso) ?? []
  if (year === undefined) return iso
  const counted = Number(`${sign}${year}`)
  return counted > 0
    ? `${String(counted).padStart(4, "0")}${rest}`
    : `${String(1 - counted).padStart(4, "0")}${rest} BC`
}

/** 2000-01-01, from 1970 on, in milliseconds. */
export const epoch = 946_684_800_000

/** What PostgreSQL keeps: 4714-11-24 BC to 294276-12-31. */
export const earliest = -210_866_803_200_000
export const latest = 9_224_318_016_000_000
