/** Values with units as people write them on a command line: `10s`, `16MiB`, `100/s`. */
import * as ByteSize from "effect/ByteSize"
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

export interface Rate {
  readonly limit: number
  /** In milliseconds. */
  readonly per: number
}

/** The number that something has in a list, as #7. */
export const number = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<number>"),
    Flag.filterMap(
      (text) => Option.filter(whole(text), (n) => n >= 1),
      () => "the number of one that is listed, as 7 for #7"
    )
  )

/** A time, once it is known what time it is. */
export type Time = (now: number) => number

export const time = (name: string): Flag.Flag<Time> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<time>"),
    Flag.filterMap(parseTime, () => "a time such as 2026-01-31 or 2026-01-31T18:00Z, or how long ago, as 2h")
  )

export const duration = (name: string): Flag.Flag<Duration.Duration> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<duration>"),
    Flag.filterMap(parseDuration, () => `a duration such as 500ms, 10s or 2m`)
  )

/** In bytes. */
export const size = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<size>"),
    Flag.filterMap(parseSize, () => `a size such as 64kB or 16MiB`)
  )

export const rate = (name: string): Flag.Flag<Rate> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<rate>"),
    Flag.filterMap(parseRate, () => `a rate such as 100/s, 30/m or 1000/h`)
  )

export const count = (name: string, minimum: number): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<number>"),
    Flag.filterMap(
      (text) => Option.filter(whole(text), (n) => n >= minimum && n <= 1_000_000),
      () => `a whole number of at least ${minimum}`
    )
  )

export const port = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<port>"),
    Flag.filterMap(
      (text) => Option.filter(whole(text), (n) => n >= 1 && n <= 65_535),
      () => "a port from 1 to 65535"
    )
  )

/** A number of elements, or a share of them. */
export const share = (name: string): Flag.Flag<number | `${number}%`> =>
  Flag.String(name).pipe(
    Flag.withMetavar("<n|n%>"),
    Flag.filterMap(
      (text): Option.Option<number | `${number}%`> => {
        const [, percent] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text) ?? []
        if (percent !== undefined)
          return Number(percent) <= 100 ? Option.some(`${Number(percent)}%` as const) : Option.none<never>()
        return whole(text)
      },
      () => "a number such as 10, or a share such as 5%"
    )
  )

const units = { ms: "millis", s: "seconds", m: "minutes", min: "minutes", h: "hours", d: "days" } as const
const isUnit = (text: string): text is keyof typeof units => Object.hasOwn(units, text)

const parseDuration = (text: string): Option.Option<Duration.Duration> => {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text) ?? []
  if (!isUnit(unit)) return Option.none()
  return Option.filter(Duration.fromInput(`${Number(amount)} ${units[unit]}`), Duration.isPositive)
}

const parseTime = (text: string): Option.Option<Time> =>
  Option.orElse(
    Option.map(
      parseDuration(text),
      (ago): Time =>
        (now) =>
          now - Duration.toMillis(ago)
    ),
    () =>
      Option.map(
        // What JavaScript takes for a date besides is not what anybody meant.
        Option.filter(DateTime.make(text), () => /^\d{4}-\d{2}-\d{2}/.test(text)),
        ({ epochMilliseconds }): Time =>
          () =>
            epochMilliseconds
      )
  )

const parseSize = (text: string): Option.Option<number> =>
  Option.orElse(whole(text), () => Option.flatMap(ByteSize.fromString(text), ByteSize.toNumber)).pipe(
    Option.filter((bytes) => bytes > 0)
  )

const parseRate = (text: string): Option.Option<Rate> => {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*\/\s*(s|m|min|h|d)$/.exec(text) ?? []
  const limit = Number(amount)
  return limit > 0 && isUnit(unit) ? Option.some({ limit, per: Duration.toMillis(`1 ${units[unit]}`) }) : Option.none()
}

const whole = (text: string): Option.Option<number> =>
  /^\d{1,15}$/.test(text) ? Option.some(Number(text)) : Option.none()
