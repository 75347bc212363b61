/** What the functions underneath say, in the terms of a command line: options as they are typed, and not as they are coded. */
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import type { FetchError } from "../../io/FetchError.ts"
import { FilesError } from "../../io/FilesError.ts"
import { CommandError } from "./CommandError.ts"

/** Options of the functions that are flags of `skein fetch` too. */
const flags: ReadonlyArray<string> = [
  "concurrency",
  "perHost",
  "rate",
  "ratePerHost",
  "timeout",
  "retries",
  "maxBody",
  "maxHeaders",
  "maxDead",
  "userAgent",
  "cookies",
  "proxy"
]

const inFlags = (text: string): string =>
  text.replaceAll(/`(\w+)`/g, (whole, name: string) =>
    flags.includes(name) ? `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}` : whole
  )

export const ofFetch = (error: FetchError): CommandError => {
  let text = inFlags(ErrorText.of(error))
  for (const [phrase, better] of phrases) text = text.replace(phrase, better)
  const { excerpt = "" } = error
  return new CommandError(excerpt === "" ? text : `${text}; it says ${JSON.stringify(excerpt.slice(0, longest))}`)
}

/** What was wrong with the list, of which there is no option to change how it is read. */
export const ofList = (error: unknown): CommandError | undefined =>
  error instanceof FilesError && error.message.includes("`maxLine`")
    ? new CommandError(error.message.replace(/, the limit of `maxLine`[.] Raise the limit, or look /, ". Look "))
    : undefined

/** Of what an answer says. */
const longest = 200

const phrases: ReadonlyArray<readonly [string, string]> = [
  ["or allow more time", "or allow more time with --timeout"],
  [', and `network` is "public"', ""],
  // It ends with a user agent in quotes.
  ['"; change the policy to allow it', '"; leave out --robots to allow it'],
  ["change the policy to allow it", "leave out --public to allow it"]
]
