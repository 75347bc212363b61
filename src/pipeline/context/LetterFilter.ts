/** Which dead letters somebody asks for. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import { checkFlag, checkWhole } from "../../concurrency/base/Options.ts"
import type { LetterFilter } from "./Letter.ts"

/** Which dead letters are meant: those that all of these let through. Without any, all that wait to be run again. */
export interface Filter {
  readonly ids?: ReadonlyArray<number> | undefined
  /** The name of the step that failed, or of the sink. */
  readonly step?: string | undefined
  /** A part of the text of the cause, in upper and lower case as it is there, or the whole class or tag of one of the causes. */
  readonly cause?: string | undefined
  /** Given up at this time or later. */
  readonly since?: DateTime.DateTime.Input | undefined
  /** Given up before this time. */
  readonly until?: DateTime.DateTime.Input | undefined
  /** The `version` of the run that gave it up; null for runs without one. */
  readonly version?: string | null | undefined
  /** Those that a replay has settled, instead of those that wait for one. Default false. */
  readonly replayed?: boolean | undefined
  /** The most of them, the oldest first. Default all. */
  readonly limit?: number | undefined
}

/** What `options` mean to a journal. */
export const filterOf = ({ cause, ids, limit, replayed, since, step, until, version }: Filter): LetterFilter => {
  for (const id of ids ?? []) checkWhole("The id of a dead letter", id, 1)
  checkWhole("limit", limit, 1)
  checkFlag("replayed", replayed)
  return { cause, ids, limit, replayed, since: timeOf("since", since), step, until: timeOf("until", until), version }
}

/** Letters are given up at whole milliseconds. */
const timeOf = (option: string, input: DateTime.DateTime.Input | undefined): number | undefined => {
  if (input === undefined) return undefined
  const time = Option.getOrUndefined(DateTime.make(input))
  if (time !== undefined) return Math.ceil(time.epochMilliseconds)
  throw new RangeError(`${option} must be a time, as "2026-01-31" or a Date; got ${ErrorText.of(input)}`)
}
